import { dtypeSize } from '@flash-mla/core';
import type { KvRowLayout } from '../../kv-cache/row-layout.ts';
import type { TensorView } from '../../tensor/view.ts';
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

/**
 * How the (blocks, tokens) of a cache lie in memory. `model1` keeps the rows of a block 576 bytes apart
 * and their scales behind them: the 584 bytes between the tokens of such a view are no stride that
 * anything is read at, and must not narrow the accesses.
 */
export function placementOfCache(view: TensorView, layout: KvRowLayout): Placement {
  const placement = placementOf(view, [0, 1]);
  if (layout !== 'model1') return placement;
  return { ...placement, alignment: placementOf(view, [0]).alignment };
}
