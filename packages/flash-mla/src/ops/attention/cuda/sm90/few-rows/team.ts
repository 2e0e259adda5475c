import type { Ops } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { barrierId, groupWarps, warpGroupThreads } from '../dense/tile.ts';
import type { Team } from '../swap-ab/team.ts';
import type { FewRowsShared } from './tile.ts';

/** A consumer alone: it computes all weights for its own use. */
export function ownConsumer(
  k: Ops,
  { found }: FewRowsShared,
  { consumer, thread }: ConsumerPlace,
): Team {
  const barrier = consumer.add(barrierId.group).named('team_barrier');
  return {
    warps: groupWarps,
    warp: thread.shr(5),
    found: (row, warp) => found.at(consumer, row, warp),
    meet: () => k.barrier(barrier, warpGroupThreads),
    meetAny: (p) => k.barrierAny(p, barrier, warpGroupThreads),
  };
}
