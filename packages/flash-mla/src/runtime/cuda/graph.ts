import { DisposedError } from '@flash-mla/core';
import type { BackendGraph } from '../device/backend.ts';
import type { CudaContext, Handle } from './driver/driver.ts';

/** A recorded sequence of operations as a CUDA graph. */
export class CudaGraph implements BackendGraph {
  readonly #context: CudaContext;
  readonly #stream: () => Handle;
  readonly #graph: Handle;
  readonly #release: () => void;
  #disposed = false;

  /**
   * It is replayed on the `stream` of the moment. `release` gives back what the graph alone keeps;
   * replays under way are done before its reuse.
   */
  constructor(context: CudaContext, stream: () => Handle, graph: Handle, release: () => void) {
    this.#context = context;
    this.#stream = stream;
    this.#graph = graph;
    this.#release = release;
  }

  replay(): void {
    if (this.#disposed) throw new DisposedError('graph');
    this.#context.launchGraph(this.#graph, this.#stream());
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#release();
    this.#disposed = true;
    this.#context.destroyGraph(this.#graph);
  }
}
