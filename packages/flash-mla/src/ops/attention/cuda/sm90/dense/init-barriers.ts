import type { Ops } from '@flash-mla/ptx';
import { consumerWarps, type HopperShared, queryThreads } from './tile.ts';

/** Lets one thread run `init`; ends with a barrier of the CTA or cluster, behind which all see the barriers. */
export function initBarriersOnce(k: Ops, init: () => void, clusterSize: 1 | 2 = 1): void {
  k.if(k.threadIdx.x.eq(0), () => {
    init();
    k.fenceMbarrierInit();
  });
  k.syncWarp();
  if (clusterSize > 1) k.clusterBarrier();
  else k.barrier();
}

/** Initialises what every kernel of the family has: the barriers of a piece's queries and target. */
export function initPieceBarriers(
  k: Ops,
  shared: Pick<HopperShared, 'queryFull' | 'queryEmpty' | 'targetFull'>,
): void {
  k.mbarrierInit(shared.queryFull.at(0), queryThreads);
  k.mbarrierInit(shared.queryEmpty.at(0), consumerWarps);
  k.mbarrierInit(shared.targetFull.at(0), 1);
}
