import { type DType, dtypeSize } from '../../../tensor/dtype.ts';
import { contiguousStrides } from '../../../tensor/shape.ts';
import type { TensorView } from '../../backend.ts';
import type { Capabilities } from '../runtime/limits.ts';
import type { WebGpuBuffer } from '../runtime/memory.ts';
import type { Dispatch, LaunchTarget } from '../runtime/runtime.ts';

/** What an operation would do. */
export interface Trace {
  readonly dispatches: readonly Dispatch[];
  /** Memory that it borrows while it runs. */
  readonly scratchBytes: number;
}

/** Runs a launcher of the backend against limits alone: nothing is bound, compiled or run. */
export function traceLaunches(
  capabilities: Capabilities,
  launch: (target: LaunchTarget) => void,
): Trace {
  const dispatches: Dispatch[] = [];
  let scratchBytes = 0;
  launch({
    capabilities,
    queue: { enqueue: () => undefined },
    dispatch: (dispatch) => {
      dispatches.push(dispatch);
    },
    withScratch: (bytes, enqueue) => {
      scratchBytes += bytes;
      enqueue(bufferOf(bytes, capabilities));
    },
  });
  return { dispatches, scratchBytes };
}

/** A contiguous tensor in memory of its own, or one with the strides given. */
export function viewOf(
  capabilities: Capabilities,
  dtype: DType,
  shape: readonly number[],
  strides: readonly number[] = contiguousStrides(shape),
): TensorView {
  const last = shape.reduce((sum, n, i) => sum + Math.max(0, n - 1) * (strides[i] ?? 0), 0);
  const buffer = bufferOf((last + 1) * dtypeSize(dtype), capabilities);
  return { buffer, byteOffset: 0, dtype, shape, strides };
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
