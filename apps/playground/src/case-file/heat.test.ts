import { describe, expect, it } from 'vitest';
import { beyond, colourOf, heatOf, paint } from './heat.ts';

const bounds = { absolute: 1e-3, relative: 0.01 };

describe('the error map', () => {
  it('is dark where values are exact and light at the bound', () => {
    expect(heatOf(1, 1, bounds)).toBe(0);
    expect(heatOf(Number.NaN, Number.NaN, bounds)).toBe(0);
    expect(heatOf(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, bounds)).toBe(0);
    expect(heatOf(1e-7, 0, bounds)).toBe(0);
    expect(heatOf(1e-5, 0, bounds)).toBeCloseTo(0.5);
    expect(heatOf(0.000999, 0, bounds)).toBeCloseTo(1, 3);
  });

  it('passes what either bound allows and marks the rest', () => {
    expect(heatOf(100.5, 100, bounds)).toBe(1);
    expect(heatOf(0.1, 0.2, bounds)).toBe(-1);
    expect(heatOf(Number.NaN, 0, bounds)).toBe(-1);
    expect(heatOf(0, Number.NEGATIVE_INFINITY, bounds)).toBe(-1);
    expect(colourOf(-1)).toEqual(beyond);
  });

  it('gets lighter with the error', () => {
    const light = [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1].map((heat) => {
      const [r, g, b] = colourOf(heat);
      return 0.3 * r + 0.59 * g + 0.11 * b;
    });
    expect(light).toEqual([...light].sort((a, b) => a - b));
  });

  it('finds the largest error and counts', () => {
    const { pixels, summary } = paint([1, 2, 3.5, 4], [1, 2.0001, 3, 4], bounds);
    expect(summary).toEqual({ beyond: 1, exact: 2, largest: 0.5, at: 2 });
    expect([...pixels.subarray(8, 12)]).toEqual([...beyond, 255]);
    expect(paint([Number.NaN, 0], [0, 0], bounds).summary.largest).toBe(Number.POSITIVE_INFINITY);
  });
});
