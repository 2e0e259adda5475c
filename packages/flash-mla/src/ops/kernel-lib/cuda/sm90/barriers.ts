import type { Ops, Pointer } from '@flash-mla/ptx';

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

/** A warp's last use of a buffer: tells every CTA whose copies reach this one. */
export function releaseBuffer(k: Ops, clusterSize: 1 | 2, bar: Pointer<'shared', 'b64'>): void {
  if (clusterSize === 1) k.if(k.laneId.eq(0), () => k.mbarrierArrive(bar));
  else k.if(k.laneId.lt(clusterSize), () => k.mbarrierReleaseRemote(bar, k.laneId));
}
