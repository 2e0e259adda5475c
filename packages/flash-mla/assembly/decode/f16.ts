/** binary16 → float32, exact, including subnormals, infinities and NaN. */

/** Four codes in 32-bit lanes. Integer arithmetic, so that subnormals cost no microcode assist. */
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

/** Decodes `count` elements. */
export function decodeF16(target: usize, source: usize, count: i32): void {
  const end = source + (<usize>count << 1);
  const bulk = source + (<usize>(count & ~7) << 1);
  while (source < bulk) {
    const codes = v128.load(source);
    v128.store(target, decode4(i32x4.extend_low_i16x8_u(codes)));
    v128.store(target, decode4(i32x4.extend_high_i16x8_u(codes)), 16);
    source += 16;
    target += 32;
  }
  while (source < end) {
    v128.store32_lane(target, decode4(i32x4.splat(load<u16>(source))), 0);
    source += 2;
    target += 4;
  }
}
