import type { Ops } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { barrierId, groupWarps, warpGroupThreads } from '../dense/tile.ts';
import type { ReductionGroup } from '../swap-ab/reduction-group.ts';
import type { FewRowsShared } from './tile.ts';

/** A consumer alone: it computes all weights for its own use. */
export function groupOfConsumer(
  k: Ops,
  { partial }: FewRowsShared,
  { consumer, thread }: ConsumerPlace,
): ReductionGroup {
  const barrier = consumer.add(barrierId.group).named('team_barrier');
  return {
    warps: groupWarps,
    warp: thread.shr(5),
    partial: (row, warp) => partial.at(consumer, row, warp),
    sync: () => k.barrier(barrier, warpGroupThreads),
    syncAny: (p) => k.barrierAny(p, barrier, warpGroupThreads),
  };
}
