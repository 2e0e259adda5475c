import type { Ops } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { barrierId, consumers, consumerWarps, warpGroupThreads } from '../dense/tile.ts';
import type { Team } from '../swap-ab/team.ts';
import type { E4m3Shared } from './tile.ts';

/** Both consumers: each has the weights of every other block. */
export function bothConsumers(k: Ops, { found }: E4m3Shared, place: ConsumerPlace): Team {
  const threads = consumers * warpGroupThreads;
  return {
    warps: consumerWarps,
    warp: place.consumer.shl(2).add(place.thread.shr(5)),
    found: (row, warp) => found.at(row, warp),
    meet: () => k.barrier(barrierId.consumers, threads),
    meetAny: (p) => k.barrierAny(p, barrierId.consumers, threads),
  };
}
