import type { Ops, Pointer, Value } from '@flash-mla/ptx';

/** The first bucket to look for a token in: multiplicative hashing, whose high bits are the best ones. */
export function bucketOf(k: Ops, token: Value<'u32'>, numBuckets: number): Value<'u32'> {
  return token.mul(2_654_435_761).shr(k.constant('u32', 32 - Math.log2(numBuckets)));
}

/** Bits of a mask that belong to lower lanes. */
export function beforeInWarp(k: Ops, mask: Value<'u32'>): Value<'u32'> {
  const below = k.constant('u32', 1).shl(k.laneId).sub(1);
  return k.popc(mask.and(below));
}

interface Masks {
  readonly masks: { at(index: Value<'u32'>): Pointer<'shared', 'u32'> };
  readonly counts: { at(index: Value<'u32'> | number): Pointer<'shared', 'u32'> };
}

/** The first warp counts the bits before each of `numGroups` masks; all bits go to `counts[total]`. */
export function prefixCounts(
  k: Ops,
  { masks, counts }: Masks,
  numGroups: number,
  total: number,
): void {
  const lane = k.laneId;
  k.if(
    k.warpId.eq(0),
    () => {
      const before = k.var('u32', 0);
      k.for({ to: Math.ceil(numGroups / 32) * 32, step: 32, uniform: true }, (first) => {
        const group = first.add(lane);
        const own = k.var('u32', 0);
        k.if(group.lt(numGroups), () => own.set(k.popc(masks.at(group).load())));
        const sum = k.var('u32', own);
        for (let distance = 1; distance < 32; distance *= 2) {
          const other = k.shuffleUp(sum, distance);
          sum.set(k.select(lane.ge(distance), sum.add(other), sum, 'u32'));
        }
        k.if(group.lt(numGroups), () => counts.at(group).store(before.add(sum).sub(own)));
        before.addTo(k.shuffle(sum, 31));
      });
      k.if(lane.eq(0), () => counts.at(total).store(before));
    },
    undefined,
    { uniform: true },
  );
}
