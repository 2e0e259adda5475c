import type { Ops } from '../builder/kernel.ts';
import type { Value } from '../builder/value.ts';

/** Options of the e4m3 decoders. */
export interface DecodeOptions {
  /**
   * Decode the two NaN codes as NaN where that takes extra instructions; without it the software
   * path gives ±480 for them. Hardware conversions always give NaN.
   */
  readonly nan?: boolean;
}

/**
 * Four e4m3 to f16, exactly: `[elements 0 and 1, elements 2 and 3]`. One conversion per pair from
 * sm_89 on, five integer and one half instruction per pair before.
 */
export function e4m3x4ToF16x2(
  k: Ops,
  v: Value<'e4m3x4'>,
  options: DecodeOptions = {},
): [Value<'f16x2'>, Value<'f16x2'>] {
  if (k.target.sm >= 89) {
    const [lo, hi] = k.split(v);
    return [k.cvtE4m3x2ToF16x2(lo), k.cvtE4m3x2ToF16x2(hi)];
  }
  // An e4m3 magnitude, shifted so that its fraction meets the one of f16, is 2^-8 of the value:
  // the exponent biases are 7 and 15. Subnormals come out right because f16 has them too.
  const scale = k.splat('f16x2', 256);
  return spread(k, v).map((bytes) => {
    const shifted = bytes.shr(1).and(0x3f803f80);
    const bits = k.lop3(shifted, bytes, k.constant('b32', 0x80008000), keepOrSelect);
    const value = bits.as('f16x2').mul(scale);
    return options.nan ? withNan(k, bytes, value.as('b32'), 0x7fff).as('f16x2') : value;
  }) as [Value<'f16x2'>, Value<'f16x2'>];
}

/**
 * Four e4m3 to bf16, exactly: `[elements 0 and 1, elements 2 and 3]`. Done with integer
 * instructions on every architecture, since the hardware converts to f16 only.
 */
export function e4m3x4ToBf16x2(
  k: Ops,
  v: Value<'e4m3x4'>,
  options: DecodeOptions = {},
): [Value<'bf16x2'>, Value<'bf16x2'>] {
  const scale = k.splat('bf16x2', 2 ** 120);
  return spread(k, v).map((bytes) => {
    const shifted = bytes.shr(4).and(0x07f007f0);
    const bits = k.lop3(shifted, bytes, k.constant('b32', 0x80008000), keepOrSelect);
    const value = bits.as('bf16x2').mul(scale);
    return options.nan ? withNan(k, bytes, value.as('b32'), 0x7fff).as('bf16x2') : value;
  }) as [Value<'bf16x2'>, Value<'bf16x2'>];
}

/** a | (b & c), as a truth table of lop3. */
const keepOrSelect = 0xf0 | (0xcc & 0xaa);

/** Bytes 0 and 1, and bytes 2 and 3, each in the upper half of 16 bits. */
function spread(k: Ops, v: Value<'e4m3x4'>): Value<'b32'>[] {
  const word = v.as('b32');
  return [k.prmt(word, 0, 0x1404), k.prmt(word, 0, 0x3424)];
}

/** Replaces each half whose byte is a NaN code by `nan`. */
function withNan(k: Ops, bytes: Value<'b32'>, value: Value<'b32'>, nan: number): Value<'b32'> {
  const low = bytes.and(0x7f00).eq(0x7f00);
  const high = bytes.and(0x7f000000).eq(0x7f000000);
  const fixedLow = k.select(low, value.and(0xffff0000).or(nan), value);
  return k.select(high, fixedLow.and(0xffff).or(nan * 65536), fixedLow);
}

/**
 * Two f32 to e4m3, rounded to nearest even, beyond ±448 to ±448, NaN to NaN. One instruction from
 * sm_89 on, about fourteen per element before.
 */
export function f32ToE4m3x2(k: Ops, lo: Value<'f32'>, hi: Value<'f32'>): Value<'e4m3x2'> {
  if (k.target.sm >= 89) return k.cvtE4m3x2(lo, hi);
  const both = k.prmt(encode(k, lo).as('b32'), encode(k, hi).as('b32'), 0x5140);
  return k.split(both)[0].as('e4m3x2');
}

function encode(k: Ops, x: Value<'f32'>): Value<'u32'> {
  const bits = x.as('u32');
  const magnitude = bits.and(0x7fffffff);
  const clamped = magnitude.min(0x43e00000);
  // Normal: round away 20 bits of the fraction, then change the exponent's bias from 127 to 7.
  const odd = clamped.shr(20).and(1);
  const normal = clamped.add(odd).add(0x7ffff).shr(20).sub(960);
  // Subnormal: next to 2^14 the unit of f32 is 2^-9, as that of e4m3 below 2^-6.
  const subnormal = clamped.as('f32').add(16384).as('u32').sub(0x46800000);
  const finite = k.select(clamped.lt(0x3c800000), subnormal, normal);
  const code = k.select(magnitude.gt(0x7f800000), 0x7f, finite, 'u32');
  return k.lop3(code, bits.shr(24), k.constant('u32', 0x80), keepOrSelect);
}

/** The power of two that an e8m0 byte stands for; 255 (NaN) gives +inf, 0 gives 2^-127. */
export function e8m0ToF32(k: Ops, byte: Value<'u32'>): Value<'f32'> {
  // 2^-127 is subnormal in f32: its pattern is the one case that is no shifted exponent.
  return k.select(byte.eq(0), 0x00400000, byte.shl(23), 'u32').as('f32');
}
