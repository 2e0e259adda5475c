import type { Ops, Value } from '@flash-mla/ptx';
import { lowest } from './restrictions.ts';

/** A number that is larger for a larger score, and 0 for one that is impossible. */
export function keyOf(k: Ops, score: Value<'f32'>): Value<'u32'> {
  // Minus 0 counts as 0.
  const bits = score.add(0).as('u32');
  const key = k.select(bits.lt(0x80000000), bits.xor(0x80000000), bits.not());
  return k.select(score.gt(lowest), key, 0, 'u32');
}

/** The score of a key that is not 0. */
export function scoreOf(k: Ops, key: Value<'u32'>): Value<'f32'> {
  return k.select(key.ge(0x80000000), key.xor(0x80000000), key.not()).as('f32');
}

/** Philox 4×32-10 as a number from 0 (included) to 1 (excluded), of 24 bits; the seed is the key. */
export function randomAt(
  k: Ops,
  [low, high]: readonly [Value<'u32'>, Value<'u32'>],
  position: Value<'u32'>,
): Value<'f32'> {
  const zero = k.constant('u32', 0);
  let [c0, c1, c2, c3]: Value<'u32'>[] = [position, zero, zero, zero] as const;
  let [k0, k1] = [low, high];
  for (let round = 0; round < 10; round++) {
    const [a, b] = [c0 as Value<'u32'>, c2 as Value<'u32'>];
    c0 = k
      .mulHi(b, 0xcd9e8d57)
      .xor(c1 as Value<'u32'>)
      .xor(k0);
    c2 = k
      .mulHi(a, 0xd2511f53)
      .xor(c3 as Value<'u32'>)
      .xor(k1);
    c1 = b.mul(0xcd9e8d57);
    c3 = a.mul(0xd2511f53);
    k0 = k0.add(0x9e3779b9);
    k1 = k1.add(0xbb67ae85);
  }
  return k.toF32((c0 as Value<'u32'>).shr(8)).mul(2 ** -24);
}
