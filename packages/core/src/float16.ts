/** IEEE 754 binary16 and bfloat16: exact decoding, round-to-nearest-even encoding from float32. */

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** float32 (or float64, rounded to float32 first) → bfloat16 bits. NaN stays NaN (quieted). */
export function encodeBf16(value: number): number {
  f32[0] = value;
  const bits = u32[0] as number;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** bfloat16 bits → float32 value. */
export function decodeBf16(bits: number): number {
  u32[0] = bits << 16;
  return f32[0] as number;
}

/** float32 → binary16 bits, overflow to infinity, subnormals kept. NaN stays NaN (quieted). */
export function encodeF16(value: number): number {
  f32[0] = value;
  const bits = u32[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff);
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 aligns the last place of the result with the last place of float32.
    f32[0] = Math.abs(f32[0] as number) + 0.5;
    return sign | ((u32[0] as number) - 0x3f000000);
  }
  const rounded = magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1);
  return sign | (rounded >>> 13);
}

/** binary16 bits → float32 value. */
export function decodeF16(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const magnitude = bits & 0x7fff;
  if (magnitude >= 0x7c00) u32[0] = sign | 0x7f800000 | ((magnitude & 0x3ff) << 13);
  else if (magnitude >= 0x0400) u32[0] = sign | ((magnitude << 13) + 0x38000000);
  else return (bits & 0x8000 ? -1 : 1) * magnitude * 2 ** -24;
  return f32[0] as number;
}
