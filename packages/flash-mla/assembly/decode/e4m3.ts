/**
 * OCP FP8 E4M3 → float32 times a scale. Seen as bfloat16, the code's exponent and mantissa moved into
 * place read as the value times 2^-120: two instructions for eight codes, and the scale makes up for
 * it. Subnormal codes would be subnormal float32, which costs a microcode assist, and NaN would come
 * out as a number: stretches with any of those, and scales too large to take 2^120, go the exact way.
 */

import { high, low } from './bf16';

/** Codes that are looked at together. */
const STRETCH: i32 = 64;
const LARGEST_SCALE: f32 = 128;
const REBIAS: f32 = 1329227995784915872903807060280344576.0; // 2^120

/** Decodes `count` elements and multiplies each by `scale`. */
export function decodeE4m3(target: usize, source: usize, count: i32, scale: f32): void {
  const mayBeFast = abs<f32>(scale) <= LARGEST_SCALE;
  while (count >= STRETCH) {
    if (mayBeFast && isPlain(source)) decodePlain(target, source, scale * REBIAS);
    else decodeExactly(target, source, STRETCH, scale);
    target += STRETCH << 2;
    source += STRETCH;
    count -= STRETCH;
  }
  if (count > 0) decodeExactly(target, source, count, scale);
}

/** All ones where a code is subnormal (magnitude 1 to 7) or NaN (127). */
// @ts-ignore: decorator
@inline
function special(codes: v128): v128 {
  const magnitude = v128.and(codes, i8x16.splat(0x7f));
  const below = i8x16.sub(magnitude, i8x16.splat(1));
  const subnormal = i8x16.eq(i8x16.min_u(below, i8x16.splat(6)), below);
  return v128.or(subnormal, i8x16.eq(magnitude, i8x16.splat(0x7f)));
}

function isPlain(source: usize): bool {
  const a = v128.or(special(v128.load(source)), special(v128.load(source, 16)));
  const b = v128.or(special(v128.load(source, 32)), special(v128.load(source, 48)));
  return !v128.any_true(v128.or(a, b));
}

function decodePlain(target: usize, source: usize, scale: f32): void {
  const factor = f32x4.splat(scale);
  // The sign, and exponent and mantissa where bfloat16 has them.
  const mask = i16x8.splat(<i16>0x87f0);
  const zero = i64x2.splat(0);
  const end = source + STRETCH;
  while (source < end) {
    const codes = v128.load(source);
    const a = i8x16.shuffle(zero, codes, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const b = i8x16.shuffle(zero, codes, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const x = v128.and(i16x8.shr_s(a, 4), mask);
    const y = v128.and(i16x8.shr_s(b, 4), mask);
    v128.store(target, f32x4.mul(low(x), factor));
    v128.store(target, f32x4.mul(high(x), factor), 16);
    v128.store(target, f32x4.mul(low(y), factor), 32);
    v128.store(target, f32x4.mul(high(y), factor), 48);
    source += 16;
    target += 64;
  }
}

function decodeExactly(target: usize, source: usize, count: i32, scale: f32): void {
  const factor = f32x4.splat(scale);
  const end = source + <usize>count;
  const bulk = source + <usize>(count & ~3);
  while (source < bulk) {
    const codes = i16x8.extend_low_i8x16_u(v128.load32_zero(source));
    v128.store(target, decode4(i32x4.extend_low_i16x8_u(codes), factor));
    source += 4;
    target += 16;
  }
  while (source < end) {
    v128.store32_lane(target, decode4(i32x4.splat(load<u8>(source)), factor), 0);
    source++;
    target += 4;
  }
}

/** Four codes in 32-bit lanes, by integer arithmetic. */
// @ts-ignore: decorator
@inline
function decode4(codes: v128, scale: v128): v128 {
  const magnitude = v128.and(codes, i32x4.splat(0x7f));
  const sign = i32x4.shl(v128.xor(codes, magnitude), 24);
  const normal = i32x4.add(i32x4.shl(magnitude, 20), i32x4.splat(120 << 23));
  const subnormal = f32x4.mul(f32x4.convert_i32x4_s(magnitude), f32x4.splat(0.001953125));
  const value = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(8)));
  const nan = i32x4.eq(magnitude, i32x4.splat(0x7f));
  return f32x4.mul(v128.or(v128.or(value, sign), nan), scale);
}
