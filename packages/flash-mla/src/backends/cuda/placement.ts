import { dtypeSize } from '../../tensor/dtype.ts';
import type { TensorView } from '../backend.ts';
import { asCudaBuffer } from './launch/launcher.ts';
import type { Placement } from './problems.ts';

/** The widest access that kernels make. */
const widest = 16;

/** How a view lies in memory: strides of the given dimensions, and what its address allows. */
export function placementOf(view: TensorView, dimensions: readonly number[]): Placement {
  const size = dtypeSize(view.dtype);
  const strides: number[] = [];
  let everything = (asCudaBuffer(view.buffer).address + view.byteOffset) % widest;
  for (const dimension of dimensions) {
    const stride = (view.shape[dimension] ?? 0) > 1 ? (view.strides[dimension] ?? 0) : 0;
    strides.push(stride);
    everything |= (stride * size) % widest;
  }
  return { strides, alignment: everything === 0 ? widest : everything & -everything };
}
