/** Vector arithmetic shared by all kernels. */

/** a·b + c: fused where the build may use relaxed SIMD, else rounded twice. */
// @ts-ignore: decorator
@inline
export function fma(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/**
 * 2^x for x <= 0, relative error below 2e-7. Exactly 0 below −126 (so for −inf), NaN for NaN.
 * Adding 1.5·2^23 leaves round(x) in the low bits of the sum, which saves a conversion.
 */
// @ts-ignore: decorator
@inline
export function exp2v(x: v128): v128 {
  const low = f32x4.splat(-126);
  const magic = f32x4.splat(12582912);
  const under = f32x4.lt(x, low);
  // pmax keeps a NaN in its first operand.
  const clamped = f32x4.pmax(x, low);
  const shifted = f32x4.add(clamped, magic);
  const f = f32x4.sub(clamped, f32x4.sub(shifted, magic));
  let p = f32x4.splat(1.535336188319500e-4);
  p = fma(p, f, f32x4.splat(1.339887440266574e-3));
  p = fma(p, f, f32x4.splat(9.618437357674640e-3));
  p = fma(p, f, f32x4.splat(5.550332471162809e-2));
  p = fma(p, f, f32x4.splat(2.402264791363012e-1));
  p = fma(p, f, f32x4.splat(6.931472028550421e-1));
  p = fma(p, f, f32x4.splat(1));
  return v128.andnot(i32x4.add(p, i32x4.shl(shifted, 23)), under);
}

/** Sum of four lanes. */
// @ts-ignore: decorator
@inline
export function sumLanes(v: v128): f32 {
  const pairs = f32x4.add(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}
