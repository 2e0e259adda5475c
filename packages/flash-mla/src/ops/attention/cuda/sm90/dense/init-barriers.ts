import type { Ops } from '@flash-mla/ptx';
import { consumerWarps, type HopperShared, queryThreads } from './tile.ts';

export { initBarriersOnce } from '../../../../kernel-lib/cuda/sm90/barriers.ts';

/** Initialises what every kernel of the family has: the barriers of a piece's queries and target. */
export function initPieceBarriers(
  k: Ops,
  shared: Pick<HopperShared, 'queryFull' | 'queryEmpty' | 'targetFull'>,
): void {
  k.mbarrierInit(shared.queryFull.at(0), queryThreads);
  k.mbarrierInit(shared.queryEmpty.at(0), consumerWarps);
  k.mbarrierInit(shared.targetFull.at(0), 1);
}
