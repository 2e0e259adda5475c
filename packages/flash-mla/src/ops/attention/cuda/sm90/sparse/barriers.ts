import type { Ops } from '@flash-mla/ptx';
import { initBarriersOnce } from '../dense/init-barriers.ts';
import {
  consumers,
  consumerWarps,
  groupWarps,
  keyParts,
  releasedParts,
  warpGroupThreads,
} from '../dense/tile.ts';
import type { SparseShared } from './tile.ts';

/** Initialises all barriers; ends with a barrier of the CTA. */
export function initBarriers(k: Ops, shared: SparseShared): void {
  initBarriersOnce(k, () => {
    const weights = consumers * keyParts.length;
    // Each warp says by itself when it has converted a part, or is done with one.
    for (let i = 0; i < weights; i++) k.mbarrierInit(shared.full.at(i), groupWarps);
    for (let i = 0; i < consumers * releasedParts; i++) {
      k.mbarrierInit(shared.empty.at(i), groupWarps);
    }
    for (let i = 0; i < consumers; i++) {
      k.mbarrierInit(shared.full.at(weights + i), warpGroupThreads);
      k.mbarrierInit(shared.sumsFull.at(i), warpGroupThreads);
    }
    k.mbarrierInit(shared.queryFull.at(0), groupWarps);
    k.mbarrierInit(shared.queryEmpty.at(0), consumerWarps);
    k.mbarrierInit(shared.targetFull.at(0), 1);
  });
}
