import type { Ops } from '@flash-mla/ptx';
import { consumers, queryThreads } from '../hopper/tile.ts';
import { type FewRowsShared, keyParts, stages, teamWarps } from './tile.ts';

/** Initialises all barriers; ends with a barrier of the CTA. */
export function initBarriers(k: Ops, shared: FewRowsShared): void {
  const warps = consumers * teamWarps;
  k.if(k.threadIdx.x.eq(0), () => {
    for (const { name, arrivals } of keyParts) {
      for (let stage = 0; stage < stages; stage++) {
        k.mbarrierInit(shared[`${name}Empty`].at(stage), warps);
        arrivals.forEach((_, i) => {
          k.mbarrierInit(shared[`${name}Full`].at(stage, i), 1);
        });
      }
    }
    k.mbarrierInit(shared.queryFull.at(0), queryThreads);
    k.mbarrierInit(shared.queryEmpty.at(0), warps);
    k.mbarrierInit(shared.targetFull.at(0), 1);
    k.fenceMbarrierInit();
  });
  k.syncWarp();
  k.barrier();
}
