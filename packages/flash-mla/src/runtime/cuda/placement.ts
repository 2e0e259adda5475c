import { dtypeSize } from '@flash-mla/core';
import type { TensorView } from '../tensor/view.ts';
import { asCudaBuffer } from './launch/launcher.ts';

/**
 * How a tensor lies in memory, seen from its address. `strides` counts elements and leaves out the
 * innermost dimension, whose stride is 1; the stride of a dimension with one entry is 0. `alignment` is the largest power of two, at most 16, that
 * divides the address and all strides in bytes: wider loads than this may fault.
 */
export interface Placement {
  readonly strides: readonly number[];
  readonly alignment: number;
}

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

/** Extent of a dimension; 0 for an absent tensor. */
export function extent(view: TensorView | undefined, dimension: number): number {
  return view?.shape[dimension] ?? 0;
}
