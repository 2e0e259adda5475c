import { expect, it } from 'vitest';
import { bytes, count, digits, milliseconds, rate, scientific, si } from './format.ts';

it('writes numbers for people', () => {
  expect([0, 0.5, 12345, 7.5e10, 1e18].map(si)).toEqual([
    '0 ',
    '0.500 ',
    '12.3 k',
    '75.0 G',
    '1000 P',
  ]);
  expect(si(Number.POSITIVE_INFINITY)).toBe('–');
  expect([7.5e10, 12, Number.NaN].map((value) => rate(value, 'B/s'))).toEqual([
    { value: '75.0', unit: 'GB/s' },
    { value: '12.0', unit: 'B/s' },
    { value: '–', unit: 'B/s' },
  ]);
  expect([1.234, 1234, 0.012].map(digits)).toEqual(['1.23', '1234', '0.0120']);
  expect([10, 2048, 3 * 2 ** 20].map(bytes)).toEqual(['10 B', '2.00 KiB', '3.00 MiB']);
  expect([0.0123, 1.5, 2500].map(milliseconds)).toEqual(['12.3 µs', '1.50 ms', '2.50 s']);
  expect([0, 3.14e-4, Number.POSITIVE_INFINITY].map(scientific)).toEqual(['0', '3.1e-4', '∞']);
  expect([count(1, 'page'), count(2048, 'page')]).toEqual(['1 page', '2,048 pages']);
});
