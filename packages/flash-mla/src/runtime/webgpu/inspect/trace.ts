import { UnsupportedOperationError } from '@flash-mla/core';
import { TraceBackend } from '../../device/trace-backend.ts';
import type { AnyOperation, Operation } from '../../operation/operation.ts';
import type { DeviceBuffer } from '../../tensor/view.ts';
import type { AnyWebGpuKernel } from '../kernel.ts';
import type { Capabilities } from '../runtime/limits.ts';
import type { WebGpuBuffer } from '../runtime/memory.ts';
import type { Dispatch } from '../runtime/runtime.ts';

/** What a call of an operation would do. */
export interface Trace {
  readonly operation: AnyOperation;
  readonly dispatches: readonly Dispatch[];
  /** Memory that it borrows while it runs. */
  readonly scratchBytes: number;
}

/** A WebGPU device that is not there, with the kernels for it. */
export class WebGpuTrace extends TraceBackend {
  readonly capabilities: Capabilities;
  readonly calls: Trace[] = [];
  readonly #kernels: ReadonlyMap<AnyOperation, AnyWebGpuKernel>;

  constructor(name: string, capabilities: Capabilities, kernels: readonly AnyWebGpuKernel[]) {
    const { workgroups } = capabilities.tuning;
    super({ backend: 'webgpu', id: 'webgpu', name, parallelism: workgroups, details: {} });
    this.capabilities = capabilities;
    this.#kernels = new Map(kernels.map((kernel) => [kernel.operation, kernel]));
  }

  allocate(byteLength: number): DeviceBuffer {
    return bufferOf(byteLength, this.capabilities);
  }

  run<Args extends object>(operation: Operation<Args, never, unknown>, args: Args): void {
    const { capabilities } = this;
    const dispatches: Dispatch[] = [];
    let scratchBytes = 0;
    const target = {
      capabilities,
      queue: { enqueue: () => undefined },
      dispatch: (dispatch: Dispatch) => {
        dispatches.push(dispatch);
      },
      withScratch: (bytes: number, enqueue: (scratch: WebGpuBuffer) => void) => {
        scratchBytes += bytes;
        enqueue(bufferOf(bytes, capabilities));
      },
    };
    this.#kernelOf(operation).launch(target, args);
    this.calls.push({ operation: operation, dispatches, scratchBytes });
  }

  traits<Shape, Traits>(operation: Operation<never, Shape, Traits>, shape: Shape): Traits {
    const kernel = this.#kernelOf(operation);
    return kernel.traits?.(shape, this.capabilities) as Traits;
  }

  #kernelOf(operation: AnyOperation): AnyWebGpuKernel {
    const kernel = this.#kernels.get(operation);
    if (kernel) return kernel;
    throw new UnsupportedOperationError(operation.name, this.info.id);
  }
}

/** As `Memory` would allocate it; launchers look at the sizes of parts only. */
function bufferOf(byteLength: number, { bufferBytes }: Capabilities): WebGpuBuffer {
  const parts: GPUBuffer[] = [];
  const bytes = Math.max(16, Math.ceil(byteLength / 16) * 16);
  for (let begin = 0; begin < bytes; begin += bufferBytes) {
    parts.push({ size: Math.min(bufferBytes, bytes - begin) } as GPUBuffer);
  }
  return { byteLength, parts, partBytes: bufferBytes };
}
