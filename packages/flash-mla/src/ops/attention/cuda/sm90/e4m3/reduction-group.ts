import type { Ops } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { barrierId, consumers, consumerWarps, warpGroupThreads } from '../dense/tile.ts';
import type { ReductionGroup } from '../swap-ab/reduction-group.ts';
import type { E4m3Shared } from './tile.ts';

/** Both consumers: each has the weights of every other block. */
export function groupOfBoth(k: Ops, { partial }: E4m3Shared, place: ConsumerPlace): ReductionGroup {
  const threads = consumers * warpGroupThreads;
  return {
    warps: consumerWarps,
    warp: place.consumer.shl(2).add(place.thread.shr(5)),
    partial: (row, warp) => partial.at(row, warp),
    sync: () => k.barrier(barrierId.consumers, threads),
    syncAny: (p) => k.barrierAny(p, barrierId.consumers, threads),
  };
}
