import type { Ops } from '../builder/kernel.ts';
import type { Value } from '../builder/value.ts';

/** Lanes of an aligned segment that reduce together. */
export type SegmentWidth = 2 | 4 | 8 | 16 | 32;

/**
 * Combines a value over the lanes of each aligned segment; every lane gets the result. `stride`
 * combines only lanes that differ by multiples of it: with width 32 and stride 4, the eight lanes
 * that hold the same columns of an mma accumulator.
 */
export function segmentReduce(
  k: Ops,
  v: Value<'f32'>,
  combine: (a: Value<'f32'>, b: Value<'f32'>) => Value<'f32'>,
  width: SegmentWidth = 32,
  stride = 1,
): Value<'f32'> {
  let result = v;
  for (let distance = width / 2; distance >= stride; distance /= 2) {
    result = combine(result, k.shuffleXor(result, distance));
  }
  return result;
}

/** The sum over each segment of lanes. */
export function segmentSum(k: Ops, v: Value<'f32'>, width?: SegmentWidth, stride?: number) {
  return segmentReduce(k, v, (a, b) => a.add(b), width, stride);
}

/** The maximum over each segment of lanes. */
export function segmentMax(k: Ops, v: Value<'f32'>, width?: SegmentWidth, stride?: number) {
  return segmentReduce(k, v, (a, b) => a.max(b), width, stride);
}
