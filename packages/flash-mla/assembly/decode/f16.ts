/**
 * binary16 → float32, exact. With exponent and mantissa moved into place a code reads as the value
 * times 2^-112. Subnormals (which would cost a microcode assist), infinities and NaN go the long way.
 */

import { high, low } from './bf16';

/** Codes that are looked at together. */
const STRETCH: i32 = 32;
const REBIAS: f32 = 5192296858534827628530496329220096.0; // 2^112

/** Decodes `count` elements. */
export function decodeF16(target: usize, source: usize, count: i32): void {
  while (count >= STRETCH) {
    if (isPlain(source)) decodePlain(target, source);
    else decodeExactly(target, source, STRETCH);
    target += STRETCH << 2;
    source += STRETCH << 1;
    count -= STRETCH;
  }
  if (count > 0) decodeExactly(target, source, count);
}

/** All ones where a code is subnormal, infinite or NaN. */
// @ts-ignore: decorator
@inline
function special(codes: v128): v128 {
  const magnitude = v128.and(codes, i16x8.splat(0x7fff));
  const below = i16x8.sub(magnitude, i16x8.splat(1));
  const subnormal = i16x8.eq(i16x8.min_u(below, i16x8.splat(0x3fe)), below);
  return v128.or(subnormal, i16x8.gt_s(magnitude, i16x8.splat(0x7bff)));
}

function isPlain(source: usize): bool {
  const a = v128.or(special(v128.load(source)), special(v128.load(source, 16)));
  const b = v128.or(special(v128.load(source, 32)), special(v128.load(source, 48)));
  return !v128.any_true(v128.or(a, b));
}

/** Four codes in the upper halves of 32-bit lanes. */
// @ts-ignore: decorator
@inline
function plain4(codes: v128): v128 {
  const moved = v128.and(i32x4.shr_s(codes, 3), i32x4.splat(0x8fffe000));
  return f32x4.mul(moved, f32x4.splat(REBIAS));
}

function decodePlain(target: usize, source: usize): void {
  const end = source + (STRETCH << 1);
  while (source < end) {
    const codes = v128.load(source);
    v128.store(target, plain4(low(codes)));
    v128.store(target, plain4(high(codes)), 16);
    source += 16;
    target += 32;
  }
}

function decodeExactly(target: usize, source: usize, count: i32): void {
  const end = source + (<usize>count << 1);
  const bulk = source + (<usize>(count & ~3) << 1);
  while (source < bulk) {
    v128.store(target, decode4(v128.load16x4_u(source)));
    source += 8;
    target += 16;
  }
  while (source < end) {
    v128.store32_lane(target, decode4(i32x4.splat(load<u16>(source))), 0);
    source += 2;
    target += 4;
  }
}

/** Codes in 32-bit lanes, by integer arithmetic. */
// @ts-ignore: decorator
@inline
function decode4(codes: v128): v128 {
  const magnitude = v128.and(codes, i32x4.splat(0x7fff));
  const sign = i32x4.shl(v128.xor(codes, magnitude), 16);
  const rebias = i32x4.splat(112 << 23);
  const normal = i32x4.add(i32x4.shl(magnitude, 13), rebias);
  // Infinity and NaN: the exponent field must become 255.
  const special = v128.and(i32x4.gt_s(magnitude, i32x4.splat(0x7bff)), rebias);
  const subnormal = f32x4.mul(f32x4.convert_i32x4_s(magnitude), f32x4.splat(5.9604644775390625e-8));
  const isSubnormal = i32x4.lt_s(magnitude, i32x4.splat(0x400));
  return v128.or(v128.bitselect(subnormal, i32x4.add(normal, special), isSubnormal), sign);
}
