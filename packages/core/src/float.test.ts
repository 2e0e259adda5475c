import { describe, expect, it } from 'vitest';
import { decodeElements, encodeElements } from './convert.ts';
import type { DType } from './dtype.ts';
import { InvalidArgumentError } from './errors.ts';
import { decodeE4m3, decodeE8m0, encodeE4m3, encodeE8m0 } from './float8.ts';
import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from './float16.ts';

/**
 * The independent definition: what IEEE 754 says a code means, as an exact ratio of integers. A code is
 * sign, exponent, mantissa; NaN and infinities are told apart by the format.
 */
interface Format {
  readonly bits: number;
  readonly exponentBits: number;
  readonly mantissaBits: number;
  /** What the largest exponent means. */
  readonly top: 'infinities' | 'one NaN';
}

const bf16: Format = { bits: 16, exponentBits: 8, mantissaBits: 7, top: 'infinities' };
const f16: Format = { bits: 16, exponentBits: 5, mantissaBits: 10, top: 'infinities' };
const e4m3: Format = { bits: 8, exponentBits: 4, mantissaBits: 3, top: 'one NaN' };

/** The value of a non-negative code as numerator · 2^exponent; undefined where it is not finite. */
function ratio(format: Format, code: number): { numerator: bigint; exponent: number } | undefined {
  const { exponentBits, mantissaBits, top } = format;
  const mantissa = BigInt(code) & ((1n << BigInt(mantissaBits)) - 1n);
  const exponent = code >> mantissaBits;
  const allOnes = (1 << exponentBits) - 1;
  const isTop = exponent === allOnes;
  if (isTop && top === 'infinities') return undefined;
  if (isTop && mantissa === (1n << BigInt(mantissaBits)) - 1n) return undefined;
  const bias = (1 << (exponentBits - 1)) - 1;
  if (exponent === 0) return { numerator: mantissa, exponent: 1 - bias - mantissaBits };
  return {
    numerator: mantissa | (1n << BigInt(mantissaBits)),
    exponent: exponent - bias - mantissaBits,
  };
}

/** numerator · 2^exponent; exact in float64 for all formats here, as long divisions by 2 show. */
function toNumber({ numerator, exponent }: { numerator: bigint; exponent: number }): number {
  let value = Number(numerator);
  for (let i = 0; i < Math.abs(exponent); i++) value = exponent < 0 ? value / 2 : value * 2;
  return value;
}

/** Exact midpoint of two neighbouring codes. */
function midpoint(format: Format, code: number): number {
  const low = ratio(format, code) as { numerator: bigint; exponent: number };
  const high = ratio(format, code + 1) as { numerator: bigint; exponent: number };
  const unit = Math.min(low.exponent, high.exponent) - 1;
  const scaled = (r: typeof low) => r.numerator << BigInt(r.exponent - unit);
  return toNumber({ numerator: (scaled(low) + scaled(high)) / 2n, exponent: unit });
}

/** The next float32 above or below a positive one. */
function neighbour(value: number, step: 1 | -1): number {
  const f32 = new Float32Array([value]);
  const u32 = new Uint32Array(f32.buffer);
  u32[0] = (u32[0] ?? 0) + step;
  return f32[0] ?? Number.NaN;
}

describe.each([
  ['bf16', bf16, encodeBf16, decodeBf16],
  ['f16', f16, encodeF16, decodeF16],
] as const)('%s', (_, format, encode, decode) => {
  const half = 0x8000;
  const infinity = format === bf16 ? 0x7f80 : 0x7c00;

  it('decodes all 65,536 codes to what they mean', () => {
    for (let code = 0; code < half; code++) {
      const exact = ratio(format, code);
      const expected =
        exact !== undefined
          ? toNumber(exact)
          : code === infinity
            ? Number.POSITIVE_INFINITY
            : Number.NaN;
      if (!Object.is(decode(code), expected)) throw new Error(`${code}: ${decode(code)}`);
      if (!Object.is(decode(code | half), -expected)) throw new Error(`-${code}`);
    }
    expect(Object.is(decode(half), -0)).toBe(true);
  });

  it('encodes every value back to its code and every NaN to a NaN of its sign', () => {
    for (let code = 0; code < 2 * half; code++) {
      const back = encode(decode(code));
      if ((code & 0x7fff) > infinity) {
        if ((back & 0x7fff) <= infinity) throw new Error(`NaN ${code} became ${back}`);
      } else if (back !== code) throw new Error(`${code} became ${back}`);
    }
    expect(Number.isNaN(decode(encode(Number.NaN)))).toBe(true);
  });

  it('rounds every midpoint to the even neighbour and its float32 neighbours to the nearer', () => {
    for (let code = 0; code + 1 < infinity; code++) {
      const middle = midpoint(format, code);
      const even = code % 2 === 0 ? code : code + 1;
      const results = [encode(neighbour(middle, -1)), encode(middle), encode(neighbour(middle, 1))];
      if (middle !== Math.fround(middle)) throw new Error(`midpoint of ${code} is not a float32`);
      if (results[0] !== code || results[1] !== even || results[2] !== code + 1) {
        throw new Error(`around ${code}: ${results}`);
      }
      if (encode(-middle) !== (even | half)) throw new Error(`below zero: ${code}`);
    }
  });

  it('overflows to infinity from half a unit above the largest value on', () => {
    const largest = decode(infinity - 1);
    const unit = largest - decode(infinity - 2);
    expect(encode(largest + unit / 2)).toBe(infinity);
    expect(encode(neighbour(Math.fround(largest + unit / 2), -1))).toBe(infinity - 1);
    expect(encode(-largest - unit / 2)).toBe(infinity | half);
    expect(encode(1e300)).toBe(infinity);
    expect(encode(Number.NEGATIVE_INFINITY)).toBe(infinity | half);
  });

  it('keeps the sign of zero and of values too small to hold', () => {
    expect([encode(0), encode(-0), encode(1e-60), encode(-1e-60)]).toEqual([0, half, 0, half]);
  });
});

describe('NaN payloads', () => {
  it('keep their upper bits and become quiet', () => {
    const u32 = new Uint32Array(1);
    const f32 = new Float32Array(u32.buffer);
    for (const [bits, asBf16, asF16] of [
      [0x7fc00000, 0x7fc0, 0x7e00],
      [0xffc00000, 0xffc0, 0xfe00],
      [0x7fd50000, 0x7fd5, 0x7ea8],
      [0x7fc00001, 0x7fc0, 0x7e00],
    ] as const) {
      u32[0] = bits;
      expect([encodeBf16(f32[0] ?? 0), encodeF16(f32[0] ?? 0)]).toEqual([asBf16, asF16]);
    }
  });
});

describe('e4m3', () => {
  it('decodes all 256 codes to what they mean', () => {
    for (let code = 0; code < 128; code++) {
      const exact = ratio(e4m3, code);
      const expected = exact === undefined ? Number.NaN : toNumber(exact);
      expect(decodeE4m3(code)).toBe(expected);
      expect(decodeE4m3(code | 0x80)).toBe(-expected);
    }
    expect([decodeE4m3(0x7e), decodeE4m3(0x01), decodeE4m3(0x08)]).toEqual([448, 2 ** -9, 2 ** -6]);
  });

  it('encodes every value back to its code', () => {
    for (let code = 0; code < 256; code++) {
      expect(encodeE4m3(decodeE4m3(code))).toBe((code & 0x7f) === 0x7f ? 0x7f : code);
    }
  });

  it('rounds every midpoint to the even neighbour and float64 neighbours to the nearer', () => {
    for (let code = 0; code < 0x7e; code++) {
      const middle = midpoint(e4m3, code);
      const even = code % 2 === 0 ? code : code + 1;
      expect(encodeE4m3(middle)).toBe(even);
      expect(encodeE4m3(middle * (1 - 2 ** -52))).toBe(code);
      expect(encodeE4m3(middle * (1 + 2 ** -52))).toBe(code + 1);
      expect(encodeE4m3(-middle)).toBe(even | 0x80);
    }
  });

  it('is right next to every power of two', () => {
    for (let exponent = -9; exponent <= 8; exponent++) {
      const power = 2 ** exponent;
      for (const value of [power, power * (1 - 2 ** -53), power * (1 + 2 ** -52)]) {
        expect(decodeE4m3(encodeE4m3(value))).toBe(power);
      }
    }
  });

  it('saturates at ±448, infinities too, and keeps NaN', () => {
    for (const value of [448, 449, 464, 465, 1e300, Number.POSITIVE_INFINITY]) {
      expect([encodeE4m3(value), encodeE4m3(-value)]).toEqual([0x7e, 0xfe]);
    }
    expect(encodeE4m3(Number.NaN)).toBe(0x7f);
    expect([encodeE4m3(0), encodeE4m3(-0), encodeE4m3(-1e-30)]).toEqual([0, 0x80, 0x80]);
  });
});

describe('e8m0', () => {
  it('decodes all 256 codes: 2^(code − 127), 255 is NaN', () => {
    for (let code = 0; code < 255; code++) {
      expect(decodeE8m0(code)).toBe(toNumber({ numerator: 1n, exponent: code - 127 }));
    }
    expect(decodeE8m0(255)).toBe(Number.NaN);
  });

  it('encodes to the smallest power of two that is not below the value', () => {
    for (let code = 0; code < 255; code++) {
      const power = decodeE8m0(code);
      expect(encodeE8m0(power)).toBe(code);
      expect(encodeE8m0(power * (1 - 2 ** -53))).toBe(code);
      expect(encodeE8m0(power * (1 + 2 ** -52))).toBe(Math.min(254, code + 1));
    }
    expect([encodeE8m0(0), encodeE8m0(Number.MIN_VALUE), encodeE8m0(1e300)]).toEqual([0, 0, 254]);
    expect(encodeE8m0(Number.POSITIVE_INFINITY)).toBe(254);
    expect([encodeE8m0(Number.NaN), encodeE8m0(-1)]).toEqual([255, 255]);
  });
});

describe('encodeElements and decodeElements', () => {
  it('agree with the single conversions over all codes', () => {
    const codes = Uint16Array.from({ length: 65_536 }, (_, code) => code);
    expect(decodeElements('bf16', codes)).toEqual(Float32Array.from(codes, decodeBf16));
    expect(decodeElements('f16', codes)).toEqual(Float32Array.from(codes, decodeF16));
    const bytes = Uint8Array.from({ length: 256 }, (_, code) => code);
    expect(decodeElements('e4m3', bytes)).toEqual(Float32Array.from(bytes, decodeE4m3));
    expect(decodeElements('e8m0', bytes)).toEqual(Float32Array.from(bytes, decodeE8m0));
    expect(decodeElements('u8', bytes)).toEqual(Float32Array.from(bytes));
    const values = Float32Array.from({ length: 1000 }, (_, i) => (i - 500) * 0.37);
    expect(encodeElements('bf16', values)).toEqual(Uint16Array.from(values, encodeBf16));
    expect(encodeElements('e4m3', values)).toEqual(Uint8Array.from(values, encodeE4m3));
  });

  it('hold every integer of a dtype, and refuse what it does not hold', () => {
    const most = 2n ** 63n - 1n;
    const least = -(2n ** 63n);
    expect([...encodeElements('u8', [0, 255, -0, 7n])]).toEqual([0, 255, 0, 7]);
    const ends = [-(2 ** 31), 2 ** 31 - 1];
    expect([...encodeElements('i32', ends)]).toEqual(ends);
    expect([...encodeElements('i32', Float32Array.of(5, -6))]).toEqual([5, -6]);
    expect([...encodeElements('i64', [5n, most, least, -3, 2 ** 60])]).toEqual([
      ...[5n, most, least, -3n, 2n ** 60n],
    ]);
    expect([...decodeElements('i64', BigInt64Array.of(-7n))]).toEqual([-7]);
    const bad = {
      u8: [-1, 256, 0.5, Number.NaN, 256n],
      i32: [1.7, 1e10, -(2 ** 31) - 1, Number.NaN, Number.POSITIVE_INFINITY, 2n ** 31n],
      i64: [0.5, Number.NaN, 2 ** 63, most + 1n, least - 1n],
    } as const;
    for (const [dtype, values] of Object.entries(bad)) {
      for (const value of values) {
        expect(() => encodeElements(dtype as DType, [1, value])).toThrow(InvalidArgumentError);
        expect(() => encodeElements(dtype as DType, [1, value])).toThrow(
          /^data\[1\]: expected an integer from .* for dtype [ui]\d+, got /,
        );
      }
    }
  });
});
