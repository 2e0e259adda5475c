import { describe, expect, it } from 'vitest';
import { between, decades, logAxis, rateRange, roofAt } from './roofs.ts';

const ceilings = { flopsPerSecond: 8e10, readBytesPerSecond: 1e10 };

describe('the roofline', () => {
  it('is the memory’s slope up to the ridge and the arithmetic beyond', () => {
    expect(roofAt(ceilings, 2)).toBe(2e10);
    expect(roofAt(ceilings, 100)).toBe(8e10);
    expect(roofAt({ flopsPerSecond: 5 }, 1)).toBe(5);
    expect(roofAt({ readBytesPerSecond: 5 }, 3)).toBe(15);
    expect(roofAt({}, 1)).toBeUndefined();
    expect(roofAt(undefined, 1)).toBeUndefined();
  });

  it('has room for roofs and points', () => {
    expect(rateRange(ceilings, [])).toEqual({ low: 2e9, high: 2e11 });
    expect(rateRange(ceilings, [3e6, Number.NaN]).low).toBe(1e6);
    expect(rateRange(undefined, [5e12]).high).toBe(1.25e13);
  });

  it('places values by their logarithm', () => {
    const axis = logAxis(1, 1000, 0, 300);
    expect([1, 10, 1000].map(axis.at)).toEqual([0, 100, 300]);
    expect(decades(axis)).toEqual([1, 10, 100, 1000]);
    expect(decades({ low: 2, high: 50 })).toEqual([10]);
    expect(between({ low: 7, high: 25 })).toEqual([7, 8, 9, 20]);
  });
});
