import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { queryRow } from './row-state.ts';

/** Warps that hold tokens of the same query rows, and what they share. */
export interface Team {
  readonly warps: 4 | 8;
  /** Which of them this is. */
  readonly warp: Value<'u32'>;
  /** Where a warp leaves what it found of a row of the CTA; four warps side by side. */
  found(row: Value<'u32'>, warp: Value<'u32'> | number): Pointer<'shared', 'f32'>;
  /** A barrier. */
  meet(): void;
  /** A barrier that tells each thread whether any of them brought a true predicate. */
  meetAny(p: Value<'pred'>): Value<'pred'>;
}

type Join = (a: Value<'f32'>, b: Value<'f32'>) => Value<'f32'>;

export const larger: Join = (a, b) => a.max(b);
export const plus: Join = (a, b) => a.add(b);

/** Each lane's rows, brought together over all lanes of a team. Not again before the next barrier. */
export function acrossTeam(
  k: Ops,
  team: Team,
  place: ConsumerPlace,
  values: readonly Value<'f32'>[],
  join: Join,
): Value<'f32'>[] {
  const ofWarp = [4, 8, 16].reduce(
    (all, distance) => all.map((x) => join(x, k.shuffleXor(x, distance))),
    [...values],
  );
  k.if(place.lane.lt(4), () => {
    ofWarp.forEach((value, r) => {
      team.found(queryRow(place, r), team.warp).store(value);
    });
  });
  team.meet();
  return values.map((_, r) => {
    const all: Value<'f32'>[] = [];
    for (let i = 0; i < team.warps; i += 4)
      all.push(...team.found(queryRow(place, r), i).loadVec(4));
    return all.reduce(join);
  });
}
