import type { Ops } from '../builder/kernel.ts';
import type { Value } from '../builder/value.ts';

/** Both elements of a bf16 pair as f32: one shift and one mask. */
export function unpackBf16x2(_k: Ops, v: Value<'bf16x2'>): [Value<'f32'>, Value<'f32'>] {
  const bits = v.as('b32');
  return [bits.shl(16).as('f32'), bits.and(0xffff0000).as('f32')];
}

/** Both elements of an f16 pair as f32. */
export function unpackF16x2(k: Ops, v: Value<'f16x2'>): [Value<'f32'>, Value<'f32'>] {
  const [lo, hi] = k.split(v);
  return [k.toF32(lo), k.toF32(hi)];
}

/** Both elements of a packed pair as f32. */
export function unpackPair(k: Ops, v: Value<'f16x2' | 'bf16x2'>): [Value<'f32'>, Value<'f32'>] {
  return v.type === 'f16x2'
    ? unpackF16x2(k, v as Value<'f16x2'>)
    : unpackBf16x2(k, v as Value<'bf16x2'>);
}

/** Two f32 as a pair of 16-bit floats of the given kind, `lo` in the low bits. */
export function packPair<T extends 'f16' | 'bf16'>(
  k: Ops,
  type: T,
  lo: Value<'f32'>,
  hi: Value<'f32'>,
): Value<T extends 'f16' ? 'f16x2' : 'bf16x2'> {
  const packed = type === 'f16' ? k.packF16x2(lo, hi) : k.packBf16x2(lo, hi);
  return packed as Value<T extends 'f16' ? 'f16x2' : 'bf16x2'>;
}
