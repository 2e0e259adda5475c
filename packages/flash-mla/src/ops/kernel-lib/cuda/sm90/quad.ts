import type { Ops, Value } from '@flash-mla/ptx';

/**
 * Transposes words among the four lanes that hold a row of an accumulator: lane i of the quad comes to
 * hold word i of all four, in the order of the lanes. Where word j was a pair of columns of block j,
 * each lane then holds all eight columns of one block.
 */
export function transposeQuad(
  k: Ops,
  lane: Value<'u32'>,
  words: readonly Value<'b32'>[],
): Value<'b32'>[] {
  const isOdd = lane.and(1).ne(0);
  const isUpper = lane.and(2).ne(0);
  const [a, b, c, d] = words;
  const [lowFirst, lowSecond] = swap(k, isOdd, 1, a, b);
  const [highFirst, highSecond] = swap(k, isOdd, 1, c, d);
  const [first, third] = swap(k, isUpper, 2, lowFirst, highFirst);
  const [second, fourth] = swap(k, isUpper, 2, lowSecond, highSecond);
  return [first, second, third, fourth];
}

/**
 * The lane below keeps its first word and gets the first of the lane above, which keeps its second and
 * gets the second of the lane below; what the lane below holds comes first.
 */
function swap(
  k: Ops,
  isAbove: Value<'pred'>,
  distance: 1 | 2,
  first: Value<'b32'>,
  second: Value<'b32'>,
): [Value<'b32'>, Value<'b32'>] {
  const received = k.shuffleXor(k.select<'b32'>(isAbove, first, second), distance);
  return [k.select<'b32'>(isAbove, received, first), k.select<'b32'>(isAbove, second, received)];
}
