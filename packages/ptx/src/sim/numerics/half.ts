// Conversions between numbers and the 16-bit floating-point formats, rounding to nearest even once.

const f64 = new Float64Array(1);
const i64 = new Int32Array(f64.buffer);
const f32 = new Float32Array(1);
const i32 = new Int32Array(f32.buffer);

/** Rounds a double to `bits` significant bits at exponents ≥ `minExponent`, ties to even. */
function roundTo(x: number, bits: number, minExponent: number): number {
  f64[0] = x;
  const exponent = ((i64[1] >>> 20) & 0x7ff) - 1023;
  const unit = 2 ** (Math.max(exponent, minExponent) - bits + 1);
  const scaled = x / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  return (up ? floor + 1 : floor) * unit;
}

/** The IEEE half-precision pattern nearest to x (ties to even); NaN gives 0x7fff as the GPU does. */
export function f16Bits(x: number): number {
  if (Number.isNaN(x)) return 0x7fff;
  f32[0] = x;
  if (f32[0] === x) return f16FromSingle(i32[0]);
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const a = Math.abs(x);
  if (a >= 65520) return sign | 0x7c00;
  const r = roundTo(a, 11, -14);
  if (r < 2 ** -14) return sign | (r * 2 ** 24);
  f64[0] = r;
  return sign | ((((i64[1] >>> 20) - 1023 + 15) << 10) + ((i64[1] >>> 10) & 0x3ff));
}

/** The bfloat16 pattern nearest to x (ties to even); NaN gives 0x7fff as the GPU does. */
export function bf16Bits(x: number): number {
  if (Number.isNaN(x)) return 0x7fff;
  f32[0] = x;
  if (f32[0] === x) {
    const pattern = i32[0];
    return ((pattern + 0x7fff + ((pattern >>> 16) & 1)) >>> 16) & 0xffff;
  }
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  f32[0] = roundTo(Math.abs(x), 8, -126);
  return sign | (i32[0] >>> 16);
}

/** The half-precision pattern of a single-precision one: what most conversions come down to. */
function f16FromSingle(pattern: number): number {
  const sign = (pattern >>> 16) & 0x8000;
  const magnitude = pattern & 0x7fffffff;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
  }
  // Next to 0.5 the unit of f32 is 2^-24, that of subnormal f16: the addition rounds.
  i32[0] = magnitude;
  f32[0] = f32[0] + 0.5;
  return sign | (i32[0] - 0x3f000000);
}

const f16Table = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 0x3ff;
  f16Table[bits] =
    exponent === 31
      ? fraction !== 0
        ? Number.NaN
        : sign * Number.POSITIVE_INFINITY
      : exponent === 0
        ? sign * fraction * 2 ** -24
        : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The number a half-precision pattern stands for. */
export function f16Value(bits: number): number {
  return f16Table[bits];
}

/** The number a bfloat16 pattern stands for. */
export function bf16Value(bits: number): number {
  i32[0] = bits << 16;
  return f32[0];
}
