import type { Ops } from '@flash-mla/ptx';
import { queryThreads } from '../hopper/tile.ts';
import { consumerWarps, type E4m3Shared, type E4m3Tile } from './tile.ts';

/** Initialises all barriers; ends with a barrier of the CTA. */
export function initBarriers(k: Ops, shared: E4m3Shared, { stages }: E4m3Tile): void {
  k.if(k.threadIdx.x.eq(0), () => {
    for (let i = 0; i < stages; i++) {
      k.mbarrierInit(shared.full.at(i), 1);
      k.mbarrierInit(shared.empty.at(i), consumerWarps);
    }
    k.mbarrierInit(shared.queryFull.at(0), queryThreads);
    k.mbarrierInit(shared.queryEmpty.at(0), consumerWarps);
    k.mbarrierInit(shared.targetFull.at(0), 1);
    k.fenceMbarrierInit();
  });
  k.syncWarp();
  k.barrier();
}
