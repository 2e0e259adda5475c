import { OutOfMemoryError } from '@flash-mla/core';
import type { SharedContext } from '../device/shared-context.ts';
import type { Address, CudaContext, Handle, PinnedMemory } from '../driver/driver.ts';
import type { Timeline } from '../stream/timeline.ts';
import type { DeviceMemory, Temporary } from './device-memory.ts';
import { largestPinned, PinnedPool } from './pinned-pool.ts';

/**
 * Copies between the host and one stream's device memory, by way of page-locked memory. That memory
 * goes with a lost device, and touching it then would end the process: hence the checks.
 */
export class Transfers {
  readonly #shared: SharedContext;
  readonly #context: CudaContext;
  readonly #stream: Handle;
  readonly #timeline: Timeline;
  readonly #memory: DeviceMemory;
  readonly #pinned: PinnedPool;
  /** Reads whose bytes are still on their way. */
  #reads = 0;

  constructor(shared: SharedContext, stream: Handle, timeline: Timeline, memory: DeviceMemory) {
    const { context } = shared;
    this.#shared = shared;
    this.#context = context;
    this.#stream = stream;
    this.#timeline = timeline;
    this.#memory = memory;
    this.#pinned = new PinnedPool(context, timeline);
  }

  /** `bytes` may change as soon as this returns. */
  write(target: Address, bytes: Uint8Array): void {
    this.#shared.checkAlive();
    for (let at = 0; at < bytes.byteLength; at += largestPinned) {
      const piece = bytes.subarray(at, at + largestPinned);
      const memory = this.#pinned.take(piece.byteLength);
      memory.bytes.set(piece);
      this.#context.copyToDevice(target + at, memory.address, piece.byteLength, this.#stream);
      this.#pinned.give(memory, this.#timeline.mark());
    }
  }

  /**
   * A write on a stream that is being recorded, which the graph repeats: its bytes stay in memory that is
   * `kept` as long as the graph.
   */
  record(target: Address, bytes: Uint8Array, kept: PinnedMemory[], stream: Handle): void {
    this.#shared.checkAlive();
    for (let at = 0; at < bytes.byteLength; at += largestPinned) {
      const piece = bytes.subarray(at, at + largestPinned);
      const memory = this.#pinned.takeAtOnce(piece.byteLength);
      kept.push(memory);
      memory.bytes.set(piece);
      this.#context.copyToDevice(target + at, memory.address, piece.byteLength, stream);
    }
  }

  /** The graph that kept this memory is gone. */
  release(kept: readonly PinnedMemory[]): void {
    if (kept.length === 0) return;
    const mark = this.#timeline.mark();
    for (const memory of kept) this.#pinned.give(memory, mark);
  }

  /** Blocks until the work enqueued so far is done: for debug mode. At most {@link largestPinned}. */
  readNow(source: Address, byteLength: number): Uint8Array {
    const memory = this.#pinned.take(byteLength);
    this.#context.copyToHost(memory.address, source, byteLength, this.#stream);
    const mark = this.#timeline.mark();
    this.#timeline.waitNow(mark);
    this.#pinned.give(memory, mark);
    return memory.bytes.slice(0, byteLength);
  }

  /** Whether no page-locked memory will be looked at any more. */
  get isIdle(): boolean {
    return this.#reads === 0;
  }

  /** The bytes as they are once the work enqueued so far is done. */
  async read(source: Address, byteLength: number): Promise<Uint8Array> {
    this.#reads++;
    try {
      return await this.#read(source, byteLength);
    } finally {
      this.#reads--;
    }
  }

  async #read(source: Address, byteLength: number): Promise<Uint8Array> {
    const result = new Uint8Array(byteLength);
    if (byteLength <= largestPinned) {
      await this.#fetch(source, result)();
      return result;
    }
    // Work enqueued later may overwrite the source while its pieces travel: copy it aside first.
    let snapshot: Temporary;
    try {
      snapshot = this.#memory.takeTemporary(byteLength);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      return this.#readAtOnce(source, result);
    }
    const { address } = snapshot.block;
    this.#context.copyOnDevice(address, source, byteLength, this.#stream);
    let previous: (() => Promise<void>) | undefined;
    for (let at = 0; at < byteLength; at += largestPinned) {
      const next = this.#fetch(address + at, result.subarray(at, at + largestPinned));
      await previous?.();
      previous = next;
    }
    this.#memory.giveTemporary(snapshot);
    await previous?.();
    return result;
  }

  destroy(): void {
    this.#pinned.destroy();
  }

  /** Enqueues a copy; the function it returns waits for it and fills `target`. */
  #fetch(source: Address, target: Uint8Array): () => Promise<void> {
    const memory = this.#pinned.take(target.byteLength);
    this.#context.copyToHost(memory.address, source, target.byteLength, this.#stream);
    const mark = this.#timeline.mark();
    const reached = this.#timeline.wait(mark);
    // Whoever awaits it later sees the failure; until then it is no unhandled one.
    reached.catch(() => {});
    return async () => {
      await reached;
      this.#shared.checkAlive();
      target.set(memory.bytes.subarray(0, target.byteLength));
      this.#pinned.give(memory, mark);
    };
  }

  /** Without device memory to spare, all of it is pinned at once, which takes a while. */
  async #readAtOnce(source: Address, target: Uint8Array): Promise<Uint8Array> {
    const memory = this.#context.allocatePinned(target.byteLength);
    this.#context.copyToHost(memory.address, source, target.byteLength, this.#stream);
    await this.#timeline.wait(this.#timeline.mark());
    this.#shared.checkAlive();
    target.set(memory.bytes.subarray(0, target.byteLength));
    this.#context.freePinned(memory);
    return target;
  }
}
