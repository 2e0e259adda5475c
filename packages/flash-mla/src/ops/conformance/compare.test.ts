import { encodeElements } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { type HostTensor, hostTensor } from '../reference.ts';
import { compare, describeComparison } from './compare.ts';
import { toleranceOf } from './kinds.ts';
import { exact, type Tolerance } from './tolerance.ts';

const bounds: Tolerance = { absolute: 1e-3, relative: 1e-2, cosine: 5e-6 };
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

function f32(...values: number[]): HostTensor<'f32'> {
  return hostTensor('f32', [values.length], Float32Array.from(values));
}

function passes(actual: number[], expected: number[], tolerance: Tolerance = bounds): boolean {
  return compare('out', 'x', f32(...actual), { values: Float64Array.from(expected) }, tolerance)
    .pass;
}

describe('compare', () => {
  it('takes what is near in either way', () => {
    const { cosine: _, ...elementwise } = bounds;
    expect(passes([1.0099], [1], elementwise)).toBe(true);
    expect(passes([1.0102], [1], elementwise)).toBe(false);
    expect(passes([0.0009], [0], elementwise)).toBe(true);
    expect(passes([0.0011], [0], elementwise)).toBe(false);
    expect(passes([-0.0011], [0], elementwise)).toBe(false);
  });

  it('wants infinities and NaN in the same places', () => {
    expect(passes([inf, -inf, nan, 1], [inf, -inf, nan, 1])).toBe(true);
    for (const [actual, expected] of [
      [inf, 1],
      [1, inf],
      [-inf, inf],
      [nan, 1],
      [1, nan],
      [nan, inf],
      [inf, nan],
    ] as const) {
      expect(passes([1, actual], [1, expected])).toBe(false);
    }
  });

  it('sees a small error of the whole that no element shows', () => {
    const expected = Array.from({ length: 1000 }, (_, i) => Math.sin(i));
    const scaled = (factor: number) => expected.map((x) => x * factor);
    expect(passes(scaled(1.002), expected)).toBe(true);
    expect(passes(scaled(1.004), expected)).toBe(false);
    expect(passes(scaled(1.004), expected, { absolute: 1e-3, relative: 1e-2 })).toBe(true);
  });

  it('takes nothing but equality when exact', () => {
    expect(passes([1, 0, nan, inf], [1, -0, nan, inf], exact)).toBe(true);
    expect(passes([1.0000001], [1], exact)).toBe(false);
  });

  it('names the first and the worst element', () => {
    const values = new Float64Array(24).fill(1);
    const data = Float32Array.from(values);
    data[7] = 1.05;
    data[18] = -3;
    const result = compare('out', 'x', hostTensor('f32', [2, 3, 4], data), { values }, bounds);
    expect(result).toMatchObject({ pass: false, failed: 2, elements: 24, compared: 24 });
    expect(result.firstBad?.index).toEqual([0, 1, 3]);
    expect(result.worst).toEqual({ index: [1, 1, 2], expected: 1, actual: -3, error: 4 });
    expect(describeComparison(result)).toContain('out[1, 1, 2] = -3, expected 1, off by 4.00e+0');
  });

  it('looks only at rows that are known', () => {
    const actual = hostTensor('f32', [2, 2], Float32Array.of(nan, nan, 1, 1));
    const values = Float64Array.of(0, 0, 1, 1);
    const known = Uint8Array.of(0, 1);
    const result = compare('out', 'x', actual, { values, known, rowLength: 2 }, bounds);
    expect(result).toMatchObject({ pass: true, compared: 2, elements: 4 });
  });

  it('fails for another number of elements', () => {
    expect(passes([1, 1], [1])).toBe(false);
    expect(passes([1], [1, 1])).toBe(false);
  });
});

/** What rounding alone does to values of the usual size must pass, twice as much must not. */
describe.each([
  ['bf16', 8],
  ['f16', 11],
  ['e4m3', 8],
] as const)('the bounds of an output whose inputs are %s', (dtype, significantBits) => {
  const outDType = dtype === 'f16' ? 'f16' : 'bf16';
  const values = Float64Array.from({ length: 4096 }, (_, i) => Math.sin(i * 1.7) * 0.2);
  const verdict = (change: (value: number, i: number) => number) => {
    const data = encodeElements(outDType, Array.from(values, change));
    const tolerance = toleranceOf('dense-decode', 'out', outDType);
    return compare('out', 'x', hostTensor(outDType, [4096], data), { values }, tolerance).pass;
  };
  const unit = 2 ** -significantBits;

  it('hold for rounding', () => {
    expect(verdict((value) => value)).toBe(true);
    expect(verdict((value, i) => value * (1 + (i % 2 ? unit : -unit) / 2))).toBe(true);
  });

  it.each<[string, (value: number, i: number) => number]>([
    ['one element off by ten units and a little', (v, i) => (i === 99 ? v * (1 + 10 * unit) : v)],
    ['one element that is 0', (v, i) => (i === 100 ? 0 : v)],
    ['one element that is NaN', (v, i) => (i === 100 ? nan : v)],
    ['one sign', (v, i) => (i === 100 ? -v : v)],
    ['all too large by one and a half units', (v) => v * (1 + 1.5 * unit)],
    ['noise of two units', (v, i) => v * (1 + (i % 2 ? 2 : -2) * unit)],
    ['a shift by one element', (_, i) => values[(i + 1) % 4096] as number],
  ])('do not hold for %s', (_, change) => {
    expect(verdict(change)).toBe(false);
  });
});

it('the bounds of lse do not hold for a relative error of 2^-12', () => {
  const values = Float64Array.from({ length: 64 }, (_, i) => 3 + i / 10);
  const lse = (factor: number) =>
    hostTensor(
      'f32',
      [64],
      Float32Array.from(values, (v) => v * factor),
    );
  const tolerance = toleranceOf('sparse-decode', 'lse', 'f32');
  expect(compare('lse', 'x', lse(1 + 2 ** -14), { values }, tolerance).pass).toBe(true);
  expect(compare('lse', 'x', lse(1 + 2 ** -12), { values }, tolerance).pass).toBe(false);
});
