/** One row of bf16 → a packed row, and numbers → e4m3. Scales are powers of two. */

import { high, low } from '../decode/bf16';
import {
  MODEL1_COLUMNS_PER_SCALE,
  MODEL1_ROPE_COLUMNS,
  MODEL1_ROPE_OFFSET,
  MODEL1_SCALE_BYTES,
  MODEL1_VALUE_COLUMNS,
  V32_COLUMNS_PER_SCALE,
  V32_ROPE_COLUMNS,
  V32_ROPE_OFFSET,
  V32_VALUE_COLUMNS,
} from '../generated/kernel-lib';

/** The smallest scale, 2^-13: FlashMLA takes no scale below 1e-4. */
const SMALLEST: i32 = 127 - 13;

export function quantizeV32(source: usize, row: usize): void {
  let scales = row + V32_VALUE_COLUMNS;
  for (let c: usize = 0; c < V32_VALUE_COLUMNS; c += V32_COLUMNS_PER_SCALE) {
    const from = source + (c << 1);
    const code = scaleCode(from, <i32>V32_COLUMNS_PER_SCALE);
    store<f32>(scales, scaleOf(code));
    quantizeTile(from, row + c, <i32>V32_COLUMNS_PER_SCALE, code);
    scales += 4;
  }
  const rope = source + (V32_VALUE_COLUMNS << 1);
  memory.copy(row + V32_ROPE_OFFSET, rope, V32_ROPE_COLUMNS << 1);
}

export function quantizeModel1(source: usize, row: usize, scales: usize): void {
  let scale = scales;
  for (let c: usize = 0; c < MODEL1_VALUE_COLUMNS; c += MODEL1_COLUMNS_PER_SCALE) {
    const from = source + (c << 1);
    const code = scaleCode(from, <i32>MODEL1_COLUMNS_PER_SCALE);
    store<u8>(scale, <u8>code);
    quantizeTile(from, row + c, <i32>MODEL1_COLUMNS_PER_SCALE, code);
    scale++;
  }
  // What carries no scale is 0.
  memory.fill(scale, 0, scales + MODEL1_SCALE_BYTES - scale);
  const rope = source + (MODEL1_VALUE_COLUMNS << 1);
  memory.copy(row + MODEL1_ROPE_OFFSET, rope, MODEL1_ROPE_COLUMNS << 1);
}

/** e8m0 code of the smallest power of two that is at least max|value| / 448; 255 where one is NaN. */
function scaleCode(source: usize, count: i32): i32 {
  const magnitude = i32x4.splat(0x7fffffff);
  let top = i32x4.splat(0);
  for (let c: usize = 0; c < <usize>count; c += 8) {
    const codes = v128.load(source + (c << 1));
    // Magnitudes of floats are ordered as integers, NaN above all.
    top = i32x4.max_s(top, v128.and(low(codes), magnitude));
    top = i32x4.max_s(top, v128.and(high(codes), magnitude));
  }
  const bits = max(
    max(i32x4.extract_lane(top, 0), i32x4.extract_lane(top, 1)),
    max(i32x4.extract_lane(top, 2), i32x4.extract_lane(top, 3)),
  );
  if (bits > 0x7f800000) return 255;
  if (bits == 0x7f800000) return 254;
  // 448 = 1.75·2^8: a mantissa of up to 1.75 needs the exponent less 8, a larger one the next.
  const exponent = (bits >> 23) - 8 + ((bits & 0x7fffff) > 0x600000 ? 1 : 0);
  return max(SMALLEST, exponent);
}

function scaleOf(code: i32): f32 {
  return code == 255 ? f32.NaN : reinterpret<f32>(code << 23);
}

function quantizeTile(source: usize, target: usize, count: i32, code: i32): void {
  // The scale is a power of two of at least 2^-13 and at most 2^127: 2^-127 is subnormal but exact.
  const inverse = f32x4.splat(code == 255 ? f32.NaN : 1 / scaleOf(code));
  for (let c: usize = 0; c < <usize>count; c += 8) {
    const codes = v128.load(source + (c << 1));
    const a = encode4(f32x4.mul(low(codes), inverse));
    const b = encode4(f32x4.mul(high(codes), inverse));
    const words = i16x8.narrow_i32x4_s(a, b);
    v128.store64_lane(target + c, i8x16.narrow_i16x8_u(words, words), 0);
  }
}

/** Four float32 → e4m3 codes in 32-bit lanes: nearest even, saturating at ±448, NaN 0x7f. */
export function encode4(x: v128): v128 {
  const magnitude = v128.and(x, i32x4.splat(0x7fffffff));
  const sign = i32x4.shr_u(v128.xor(x, magnitude), 24);
  const clamped = f32x4.min(magnitude, f32x4.splat(448));
  // Rounds at bit 20, then moves the exponent's bias from 127 to 7.
  const odd = v128.and(i32x4.shr_u(clamped, 20), i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(clamped, i32x4.splat(0x7ffff)), odd), 20);
  const normal = i32x4.sub(rounded, i32x4.splat(120 << 3));
  // Below 2^-6 codes count multiples of 2^-9, the last place of float32 at 2^14.
  const base = f32x4.splat(16384);
  const subnormal = i32x4.sub(f32x4.add(clamped, base), base);
  const small = f32x4.lt(clamped, f32x4.splat(0.015625));
  const value = v128.or(v128.bitselect(subnormal, normal, small), sign);
  return v128.bitselect(value, i32x4.splat(0x7f), f32x4.eq(x, x));
}
