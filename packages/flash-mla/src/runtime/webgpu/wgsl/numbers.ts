/**
 * Number formats that WGSL does not have, decoded from and encoded to packed words in registers.
 * Each constant is the text of a few functions; a kernel includes those that it calls.
 */

/** 16-bit floats, two to a word. */
export const decode16 = `
fn bf16Pair(word: u32) -> vec2<f32> {
  return bitcast<vec2<f32>>(vec2(word << 16u, word & 0xffff0000u));
}
fn f16Pair(word: u32) -> vec2<f32> { return unpack2x16float(word); }
`;

/** float32 → 16-bit floats, nearest even. */
export const encode16 = `
fn bf16Code(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
  return select(rounded, (bits >> 16u) | 0x40u, (bits & 0x7fffffffu) > 0x7f800000u);
}
fn bf16Word(pair: vec2<f32>) -> u32 { return bf16Code(pair.x) | (bf16Code(pair.y) << 16u); }
// pack2x16float says nothing of values beyond the range, so those never reach it.
fn f16Word(pair: vec2<f32>) -> u32 {
  return pack2x16float(select(pair, clamp(pair, vec2(-65504.0), vec2(65504.0)), abs(pair) > vec2(65504.0)));
}
`;

/** How {@link decodeE4m3} works; see there. */
export type E4m3Decoding = 'half' | 'exact';

/**
 * Four e4m3 values of a word, as multiples of 1 / E4M3_GAIN. `half` moves the bits into binary16, whose
 * exponent is wider, and lets the hardware widen those: 3 instructions a value; it needs subnormal
 * halves to survive, which WGSL leaves open and a device is asked for when it is opened. `exact` builds
 * the float32 from its bits.
 */
export function decodeE4m3(decoding: E4m3Decoding): string {
  return decoding === 'half' ? `${halfE4m3}${nanE4m3}` : `${exactE4m3}${nanE4m3}`;
}

const halfE4m3 = `
const E4M3_GAIN = 256.0;
fn e4m3Finite(word: u32) -> vec4<f32> {
  let even = unpack2x16float(((word & 0x00800080u) << 8u) | ((word & 0x007f007fu) << 7u));
  let odd = unpack2x16float((word & 0x80008000u) | ((word & 0x7f007f00u) >> 1u));
  return vec4(even.x, odd.x, even.y, odd.y);
}
`;

const exactE4m3 = `
const E4M3_GAIN = 1.0;
fn e4m3Finite(word: u32) -> vec4<f32> {
  let bytes = (vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(0xffu);
  // 2^-7 (1 + m / 8) where the exponent is 0; the format means 2^-6 (m / 8) there.
  let normal = bitcast<vec4<f32>>(((bytes & vec4(0x7fu)) << vec4(20u)) + vec4(0x3c000000u));
  let magnitude = select(normal, 2.0 * normal - 0.015625, (bytes & vec4(0x78u)) == vec4(0u));
  return select(magnitude, -magnitude, bytes >= vec4(128u));
}
`;

/** The one code per sign that is not a number: all exponent and mantissa bits set. */
const nanE4m3 = `
fn e4m3Quad(word: u32) -> vec4<f32> {
  let finite = e4m3Finite(word);
  if ((((word & 0x7f7f7f7fu) + 0x01010101u) & 0x80808080u) == 0u) { return finite; }
  let bytes = (vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(0x7fu);
  return select(finite, bitcast<vec4<f32>>(bytes | vec4(0x7fc00000u)), bytes == vec4(0x7fu));
}
`;

/** e8m0 → 2^(code − 127); 255 is not a number. */
export const decodeE8m0 = `
fn e8m0(code: u32) -> f32 {
  let power = select(code << 23u, 0x00400000u, code == 0u);
  return bitcast<f32>(select(power, 0x7fc00000u, code == 255u));
}
`;

/**
 * A sum of weights is finite unless a logit was NaN or infinite: each weight is at most 1. Asked of its
 * bits, because WGSL lets a compiler assume that there are no such values, and because exp2(NaN) is an
 * infinity on SwiftShader. `toNan` makes a NaN of such a sum.
 */
export const nanFunctions = `
fn isFinite(value: f32) -> bool { return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u; }
fn toNan(value: f32) -> f32 { return bitcast<f32>(bitcast<u32>(value) | 0x00400000u); }
`.trim();
