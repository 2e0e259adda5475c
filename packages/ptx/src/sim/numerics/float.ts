import { bf16Bits, f16Bits, f16Value } from './half.ts';

const f32 = new Float32Array(1);
const i32 = new Int32Array(f32.buffer);

/** The NaN that f32 arithmetic gives on the GPU. */
export const canonicalNan = 0x7fffffff;

/** The bit pattern of an f32 number. */
export function bits(x: number): number {
  f32[0] = x;
  return Number.isNaN(x) ? canonicalNan : i32[0];
}

/** The f32 number of a bit pattern. */
export function float(pattern: number): number {
  i32[0] = pattern;
  return f32[0];
}

/** Subnormal f32 to zero of the same sign. */
export function flush(x: number): number {
  return Math.abs(x) < 2 ** -126 ? x * 0 : x;
}

/** Clamps to [0, 1]; NaN and −0 give +0. */
export function saturate(x: number): number {
  return x > 0 ? Math.min(x, 1) : 0;
}

/** Negative numbers and −0 to +0; NaN stays. */
export function relu(x: number): number {
  return Math.max(x, 0);
}

/** The smaller; the other one if one is NaN; −0 is smaller than +0. */
export function minNum(a: number, b: number): number {
  return Number.isNaN(a) ? b : Number.isNaN(b) ? a : Math.min(a, b);
}

/** The larger; the other one if one is NaN; +0 is larger than −0. */
export function maxNum(a: number, b: number): number {
  return Number.isNaN(a) ? b : Number.isNaN(b) ? a : Math.max(a, b);
}

/** To the nearest integer, ties to even. */
export function roundEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** To s32 with clamping; NaN gives 0. */
export function clampS32(x: number): number {
  if (Number.isNaN(x)) return 0;
  return x >= 2147483647 ? 2147483647 : x <= -2147483648 ? -2147483648 : x | 0;
}

/** To the pattern of u32 with clamping; NaN gives 0. */
export function clampU32(x: number): number {
  return x >= 4294967295 ? -1 : x > 0 ? x | 0 : 0;
}

/** A 64-bit integer to f32, rounded once. */
export function bigToF32(x: bigint): number {
  const magnitude = x < 0n ? -x : x;
  const excess = BigInt(Math.max(0, magnitude.toString(2).length - 50));
  // Keep 50 bits and a sticky bit, so that the double is exact and the one rounding is to f32.
  const kept = magnitude >> excess;
  const sticky = kept << excess === magnitude ? 0n : 1n;
  const value = Number((kept << 1n) | sticky) * 2 ** (Number(excess) - 1);
  return Math.fround(x < 0n ? -value : value);
}

export function rsqrt(x: number): number {
  return 1 / Math.sqrt(x);
}

/** The e4m3 pattern nearest to x (ties to even), saturating at ±448; NaN gives 0x7f. */
export function toE4m3(x: number): number {
  if (Number.isNaN(x)) return 0x7f;
  const sign = x < 0 || Object.is(x, -0) ? 0x80 : 0;
  const a = Math.abs(x);
  if (a >= 448) return sign | 0x7e;
  if (a < 2 ** -6) return sign | roundEven(a * 512);
  const exponent = Math.floor(Math.log2(a));
  // log2 may round up just below a power of two.
  const e = 2 ** exponent > a ? exponent - 1 : exponent;
  const code = (e + 7) * 8 + roundEven((a / 2 ** e - 1) * 8);
  return sign | Math.min(code, 0x7e);
}

/** The number an e4m3 pattern stands for. */
export function e4m3Value(code: number): number {
  const sign = code & 0x80 ? -1 : 1;
  const exponent = (code >> 3) & 15;
  const fraction = code & 7;
  if (exponent === 15 && fraction === 7) return Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (8 + fraction) * 2 ** (exponent - 10);
}

/** The f16 pattern of an e4m3 pattern; exact. */
export function e4m3ToF16(code: number): number {
  return f16Bits(e4m3Value(code));
}

export { bf16Value as fromBf16 } from './half.ts';
export { bf16Bits as toBf16, f16Bits as toF16, f16Value as fromF16 };
