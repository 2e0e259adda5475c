/** OCP 8-bit floats: E4M3 (finite, one NaN per sign, saturating) and the E8M0 power-of-two scale. */

/** Largest finite E4M3 value. */
export const e4m3Max = 448;

const e4m3Values = Float32Array.from({ length: 256 }, (_, code) => {
  const sign = code & 0x80 ? -1 : 1;
  const exponent = (code >>> 3) & 0xf;
  const mantissa = code & 7;
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  if (exponent === 0) return sign * mantissa * 2 ** -9;
  return sign * (1 + mantissa / 8) * 2 ** (exponent - 7);
});

/** E4M3 code → float32 value. */
export function decodeE4m3(code: number): number {
  return e4m3Values[code & 0xff] as number;
}

/** Value → E4M3 code: nearest, ties to even, anything beyond ±448 (infinities too) saturates. */
export function encodeE4m3(value: number): number {
  if (Number.isNaN(value)) return 0x7f;
  const sign = value < 0 || Object.is(value, -0) ? 0x80 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= e4m3Max) return sign | 0x7e;
  const exponent = Math.max(-6, Math.floor(Math.log2(magnitude)));
  // `log2` may round up at a power of two's lower neighbour; the mantissa below then reads under 8.
  const scaled = magnitude * 2 ** (3 - exponent);
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const mantissa = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  // The implicit leading one (8) and a carry (16) move into the exponent by plain addition.
  return sign | Math.min(0x7e, ((exponent + 6) << 3) + mantissa);
}

/** E8M0 code → 2^(code − 127); 255 is NaN. */
export function decodeE8m0(code: number): number {
  return (code & 0xff) === 0xff ? Number.NaN : 2 ** ((code & 0xff) - 127);
}

/** Positive value → E8M0 code of the smallest power of two that is not below it; 0 → code 0. */
export function encodeE8m0(value: number): number {
  if (Number.isNaN(value) || value < 0) return 0xff;
  if (value === 0) return 0;
  let exponent = Math.ceil(Math.log2(value));
  if (2 ** exponent < value) exponent++;
  else if (2 ** (exponent - 1) >= value) exponent--;
  return Math.min(254, Math.max(0, exponent + 127));
}
