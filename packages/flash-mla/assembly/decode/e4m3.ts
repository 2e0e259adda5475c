/** OCP FP8 E4M3 → float32 times a scale. */

/** Four codes in 32-bit lanes, sign apart. Integer arithmetic: no assist for subnormals. */
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

/** Decodes `count` elements and multiplies each by `scale`. */
export function decodeE4m3(target: usize, source: usize, count: i32, scale: f32): void {
  const factor = f32x4.splat(scale);
  const end = source + <usize>count;
  const bulk = source + <usize>(count & ~15);
  while (source < bulk) {
    const codes = v128.load(source);
    const low = i16x8.extend_low_i8x16_u(codes);
    const high = i16x8.extend_high_i8x16_u(codes);
    v128.store(target, decode4(i32x4.extend_low_i16x8_u(low), factor));
    v128.store(target, decode4(i32x4.extend_high_i16x8_u(low), factor), 16);
    v128.store(target, decode4(i32x4.extend_low_i16x8_u(high), factor), 32);
    v128.store(target, decode4(i32x4.extend_high_i16x8_u(high), factor), 48);
    source += 16;
    target += 64;
  }
  while (source < end) {
    v128.store32_lane(target, decode4(i32x4.splat(load<u8>(source)), factor), 0);
    source++;
    target += 4;
  }
}
