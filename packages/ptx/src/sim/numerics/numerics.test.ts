import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { combineOf } from './atomic.ts';
import {
  bits,
  e4m3Value,
  float,
  fromBf16,
  fromF16,
  roundEven,
  toBf16,
  toE4m3,
  toF16,
} from './float.ts';
import { fma32, fmaOdd } from './fma.ts';
import { mulHiS, mulHiU } from './integer.ts';

/** A finite double as an exact fraction: numerator × 2^exponent. */
function exact(x: number): { n: bigint; e: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const raw = view.getBigUint64(0);
  const exponent = Number((raw >> 52n) & 0x7ffn);
  const fraction = raw & 0xfffffffffffffn;
  const n = exponent === 0 ? fraction : fraction | (1n << 52n);
  return { n: x < 0 ? -n : n, e: Math.max(exponent, 1) - 1075 };
}

/** Rounds n × 2^e to `digits` significant bits at exponents from `min` up, ties to even. */
function round(n: bigint, e: number, digits: number, min: number): number {
  const negative = n < 0n;
  const magnitude = negative ? -n : n;
  if (magnitude === 0n) return 0;
  const length = magnitude.toString(2).length;
  const unit = Math.max(length + e - digits, min - digits + 1);
  const shift = BigInt(Math.max(0, unit - e));
  const kept = magnitude >> shift;
  const rest = magnitude - (kept << shift);
  const half = shift === 0n ? 0n : 1n << (shift - 1n);
  const up = rest > half || (rest === half && rest !== 0n && (kept & 1n) === 1n);
  const scale = shift === 0n ? e : unit;
  const value = Number(up ? kept + 1n : kept);
  // Two steps keep 2^scale in the range of doubles.
  const result = value * 2 ** Math.trunc(scale / 2) * 2 ** (scale - Math.trunc(scale / 2));
  return negative ? -result : result;
}

function exactFma(a: number, b: number, c: number, digits: number, min: number): number {
  const [x, y, z] = [exact(a), exact(b), exact(c)];
  const product = { n: x.n * y.n, e: x.e + y.e };
  const e = Math.min(product.e, z.e);
  const sum = (product.n << BigInt(product.e - e)) + (z.n << BigInt(z.e - e));
  return round(sum, e, digits, min);
}

const anyFloat = fc
  .integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  .map(float)
  .filter(Number.isFinite);
/** Few significant bits and near exponents make ties and cancellation common. */
const tidyFloat = fc
  .tuple(fc.integer({ min: -4096, max: 4096 }), fc.integer({ min: -14, max: 14 }))
  .map(([n, e]) => Math.fround(n * 2 ** e));

describe('fused multiply-add', () => {
  it('of f32 rounds the exact result once', () => {
    const check = (a: number, b: number, c: number) => {
      const want = Math.fround(exactFma(a, b, c, 24, -126));
      // The sign of a zero is that of ordinary addition.
      expect(fma32(a, b, c) + 0).toBe(want + 0);
    };
    fc.assert(fc.property(anyFloat, anyFloat, anyFloat, check), { numRuns: 5000, seed: 1 });
    fc.assert(fc.property(tidyFloat, tidyFloat, tidyFloat, check), { numRuns: 5000, seed: 2 });
    // Halfway between two f32, with a remainder that a double loses.
    const tie = 1 + 2 ** -12;
    check(tie, tie, 2 ** -80);
    check(tie, tie, -(2 ** -80));
    check(2 ** -75, 2 ** -75, 2 ** -149);
  });

  it('of bf16 and f16 goes through a double rounded to odd', () => {
    const half = fc.integer({ min: 0, max: 65535 });
    const check = (a: number, b: number, c: number) => {
      const [x, y, z] = [fromBf16(a), fromBf16(b), fromBf16(c)];
      fc.pre(Number.isFinite(x) && Number.isFinite(y) && Number.isFinite(z));
      expect(fromBf16(toBf16(fmaOdd(x, y, z))) + 0).toBe(
        Math.fround(exactFma(x, y, z, 8, -126)) + 0,
      );
    };
    fc.assert(fc.property(half, half, half, check), { numRuns: 5000, seed: 3 });
  });
});

describe('16-bit floats', () => {
  it('survive the way to numbers and back', () => {
    for (let pattern = 0; pattern < 65536; pattern++) {
      const f = fromF16(pattern);
      if (!Number.isNaN(f)) expect(toF16(f)).toBe(pattern);
      const b = fromBf16(pattern);
      if (!Number.isNaN(b)) expect(toBf16(b)).toBe(pattern);
    }
  });

  it('round to nearest, ties to even', () => {
    fc.assert(
      fc.property(fc.oneof(anyFloat, tidyFloat), (x) => {
        const { n, e } = exact(x);
        const f16 = round(n, e, 11, -14);
        expect(fromF16(toF16(x)) + 0).toBe(
          Math.abs(f16) > 65504 ? Math.sign(x) * Infinity : f16 + 0,
        );
        expect(fromBf16(toBf16(x)) + 0).toBe(Math.fround(round(n, e, 8, -126)) + 0);
      }),
      { numRuns: 5000, seed: 4 },
    );
    expect(toF16(Number.NaN)).toBe(0x7fff);
    expect(toBf16(-0)).toBe(0x8000);
  });
});

describe('e4m3', () => {
  it('is the nearest code, ties to even, saturating', () => {
    const codes = Array.from({ length: 127 }, (_, code) => ({ code, value: e4m3Value(code) }));
    fc.assert(
      fc.property(fc.oneof(anyFloat, tidyFloat), (x) => {
        const got = toE4m3(x);
        const a = Math.min(Math.abs(x), 448);
        const distance = (c: { value: number }) => Math.abs(c.value - a);
        const best = Math.min(...codes.map(distance));
        const nearest = codes.filter((c) => distance(c) === best);
        const want = nearest.find((c) => nearest.length === 1 || (c.code & 1) === 0);
        expect(got & 0x7f).toBe(want?.code);
        expect(got >> 7).toBe(x < 0 || Object.is(x, -0) ? 1 : 0);
      }),
      { numRuns: 3000, seed: 5 },
    );
    for (const { code, value } of codes) expect(toE4m3(value)).toBe(code);
    expect(toE4m3(Number.NaN)).toBe(0x7f);
    expect(toE4m3(Number.NEGATIVE_INFINITY)).toBe(0xfe);
  });
});

describe('integers', () => {
  it('have the high half of their product', () => {
    const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const signed = BigInt(a) * BigInt(b);
        const unsigned = BigInt(a >>> 0) * BigInt(b >>> 0);
        expect(BigInt(mulHiS(a, b))).toBe(BigInt.asIntN(32, signed >> 32n));
        expect(BigInt(mulHiU(a, b) >>> 0)).toBe(unsigned >> 32n);
      }),
    );
  });

  it('round to even', () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 2.4999, -3.5].map(roundEven)).toEqual([
      0, 2, 2, -0, -2, -2, 2, -4,
    ]);
  });
});

describe('sums of f32 in memory', () => {
  it('flush subnormals if they are atomic and in global memory', () => {
    const out = new Int32Array(2);
    const small = Int32Array.of(bits(1e-39), 0);
    combineOf('add', 'f32', 'global')(out, small, small, small);
    expect(out[0]).toBe(0);
    for (const unit of ['shared', 'bulk'] as const) {
      combineOf('add', 'f32', unit)(out, small, small, small);
      expect(float(out[0]), unit).toBe(Math.fround(Math.fround(1e-39) * 2));
    }
  });
});
