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
import type { SparseLayout, SparseShared } from './tile.ts';

/** Initialises all barriers; ends with a barrier of the CTA. */
export function initBarriers(k: Ops, shared: SparseShared, layout: SparseLayout): void {
  // A warp says when it has converted a part; copies of bf16 rows say so themselves, for each thread.
  const arrivals = layout === 'bf16' ? warpGroupThreads : groupWarps;
  initBarriersOnce(k, () => {
    const weights = consumers * keyParts.length;
    for (let i = 0; i < weights; i++) {
      // With the first part of bf16 rows a warp also says which tokens there are.
      const extra = layout === 'bf16' && i < consumers ? groupWarps : 0;
      k.mbarrierInit(shared.full.at(i), arrivals + extra);
    }
    // Each warp says by itself when it is done with a part.
    for (let i = 0; i < consumers * releasedParts; i++) {
      k.mbarrierInit(shared.empty.at(i), groupWarps);
    }
    for (let i = 0; i < consumers; i++) {
      k.mbarrierInit(shared.full.at(weights + i), warpGroupThreads);
      k.mbarrierInit(shared.sumsFull.at(i), warpGroupThreads);
    }
    // Queries are copied in every layout.
    k.mbarrierInit(shared.queryFull.at(0), warpGroupThreads);
    k.mbarrierInit(shared.queryJudged.at(0), 1);
    k.mbarrierInit(shared.queryEmpty.at(0), consumerWarps);
    k.mbarrierInit(shared.targetFull.at(0), 1);
  });
}
