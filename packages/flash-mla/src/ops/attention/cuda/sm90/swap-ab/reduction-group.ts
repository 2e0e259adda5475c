import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { queryRow } from './row-state.ts';

/** Warps that hold tokens of the same query rows, and what they share. */
export interface ReductionGroup {
  readonly warps: 4 | 8;
  /** Which of them this is. */
  readonly warp: Value<'u32'>;
  /** Where a warp leaves its result for a row of the CTA; four warps side by side. */
  partial(row: Value<'u32'>, warp: Value<'u32'> | number): Pointer<'shared', 'f32'>;
  /** A barrier. */
  sync(): void;
  /** A barrier that tells each thread whether any of them brought a true predicate. */
  syncAny(p: Value<'pred'>): Value<'pred'>;
}

type Join = (a: Value<'f32'>, b: Value<'f32'>) => Value<'f32'>;

export const larger: Join = (a, b) => a.max(b);
export const plus: Join = (a, b) => a.add(b);

/** Each lane's rows, brought together over all lanes of a group. Not again before the next barrier. */
export function reduceOverGroup(
  k: Ops,
  group: ReductionGroup,
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
      group.partial(queryRow(place, r), group.warp).store(value);
    });
  });
  group.sync();
  return values.map((_, r) => {
    const all: Value<'f32'>[] = [];
    for (let i = 0; i < group.warps; i += 4)
      all.push(...group.partial(queryRow(place, r), i).loadVec(4));
    return all.reduce(join);
  });
}
