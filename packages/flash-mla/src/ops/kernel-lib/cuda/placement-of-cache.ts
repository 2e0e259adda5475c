import { type Placement, placementOf } from '../../../runtime/cuda/placement.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import type { KvRowLayout } from '../row-layout.ts';

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
