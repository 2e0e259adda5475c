/** float32 → 16-bit floats, nearest even. */

import { BF16 } from './generated/commands';

/** Four float32 → bf16 codes in the low halves of 32-bit lanes. NaN stays NaN. */
// @ts-ignore: decorator
@inline
function bf16Lanes(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(x, i32x4.splat(0x7fff)), odd);
  const quiet = v128.or(x, i32x4.splat(0x400000));
  return i32x4.shr_u(v128.bitselect(rounded, quiet, f32x4.eq(x, x)), 16);
}

/** Eight float32 → eight bf16 codes. */
// @ts-ignore: decorator
@inline
export function packBf16(a: v128, b: v128): v128 {
  return i8x16.shuffle(bf16Lanes(a), bf16Lanes(b), 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29);
}

export function encodeBf16(value: f32): u16 {
  const bits = reinterpret<u32>(value);
  if (value != value) return <u16>((bits >> 16) | 0x40);
  return <u16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

export function encodeF16(value: f32): u16 {
  const bits = reinterpret<u32>(value);
  const sign = (bits >> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return <u16>(sign | 0x7e00 | ((magnitude >> 13) & 0x1ff));
  if (magnitude >= 0x477ff000) return <u16>(sign | 0x7c00);
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 aligns the last place of the result with that of float32.
    return <u16>(sign | (reinterpret<u32>(reinterpret<f32>(magnitude) + 0.5) - 0x3f000000));
  }
  return <u16>(sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13));
}

/** Writes `count` (at most 16) of the 16 float32 in four vectors. */
export function storeEncoded(
  dtype: i32,
  target: usize,
  count: i32,
  a: v128,
  b: v128,
  c: v128,
  d: v128,
  spill: usize,
): void {
  if (dtype == BF16 && count == 16) {
    v128.store(target, packBf16(a, b));
    v128.store(target, packBf16(c, d), 16);
    return;
  }
  v128.store(spill, a);
  v128.store(spill, b, 16);
  v128.store(spill, c, 32);
  v128.store(spill, d, 48);
  for (let i: usize = 0; i < <usize>count; i++) {
    const value = load<f32>(spill + (i << 2));
    store<u16>(target + (i << 1), dtype == BF16 ? encodeBf16(value) : encodeF16(value));
  }
}
