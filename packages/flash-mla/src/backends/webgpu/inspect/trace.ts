import { UnsupportedOperationError } from '../../../errors.ts';
import type { AnyOperation, Operation } from '../../../operation/operation.ts';
import type { DeviceBuffer } from '../../../tensor/view.ts';
import { TraceBackend } from '../../trace-backend.ts';
import type { AnyWebGpuKernel } from '../kernel.ts';
import { webGpuKernels } from '../launch/kernels.ts';
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

/** A WebGPU device that is not there, with the kernels that the library has for it. */
export class WebGpuTrace extends TraceBackend {
  readonly capabilities: Capabilities;
  readonly calls: Trace[] = [];

  constructor(name: string, capabilities: Capabilities) {
    const { workgroups } = capabilities.tuning;
    super({ backend: 'webgpu', id: 'webgpu', name, parallelism: workgroups, details: {} });
    this.capabilities = capabilities;
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
    kernelOf(operation).launch(target, args);
    this.calls.push({ operation: operation, dispatches, scratchBytes });
  }

  traits<Shape, Traits>(operation: Operation<never, Shape, Traits>, shape: Shape): Traits {
    const kernel = kernelOf(operation);
    return kernel.traits?.(shape, this.capabilities) as Traits;
  }
}

function kernelOf(operation: AnyOperation): AnyWebGpuKernel {
  const kernel = webGpuKernels.find((each) => each.operation === operation);
  if (kernel) return kernel;
  throw new UnsupportedOperationError(operation.name, 'webgpu');
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
