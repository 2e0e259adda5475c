import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomFloats } from '../testing/random-floats.ts';
import { dotRows, mixRows } from './products.ts';

const size = fc.integer({ min: 1, max: 19 });

/** Rows with an offset and gaps, and a function that reads them. */
function rows(count: number, columns: number, seed: number) {
  const stride = columns + (seed % 3);
  const data = randomFloats(5 + count * stride, seed);
  return {
    rows: { data, offset: 5, stride },
    at: (i: number, j: number) => data[5 + i * stride + j] as number,
  };
}

describe('products', () => {
  it('dotRows multiplies by the transposed matrix', () => {
    fc.assert(
      fc.property(
        size,
        fc.integer({ min: 1, max: 150 }),
        size,
        fc.nat(1000),
        (n, m, depth, seed) => {
          const x = rows(n, depth, seed);
          const w = rows(m, depth, seed + 1);
          const out = rows(n, m, seed + 2);
          const kept = out.rows.data.slice(0, 5);
          dotRows(x.rows, w.rows, out.rows, n, m, depth);
          for (let i = 0; i < n; i++) {
            for (let j = 0; j < m; j++) {
              let sum = 0;
              for (let k = 0; k < depth; k++) sum += x.at(i, k) * w.at(j, k);
              expect(out.at(i, j)).toBe(Math.fround(sum));
            }
          }
          expect(out.rows.data.slice(0, 5)).toEqual(kept);
        },
      ),
      { seed: 16, numRuns: 60 },
    );
  });

  it('mixRows adds the product with the matrix as it is', () => {
    fc.assert(
      fc.property(size, size, size, fc.nat(1000), (n, m, depth, seed) => {
        const x = rows(n, depth, seed);
        const w = rows(depth, m, seed + 1);
        const out = rows(n, m, seed + 2);
        const before = out.rows.data.slice();
        mixRows(x.rows, w.rows, out.rows, n, m, depth);
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < m; j++) {
            let sum = before[5 + i * out.rows.stride + j] as number;
            for (let k = 0; k < depth; k++) sum += x.at(i, k) * w.at(k, j);
            expect(out.at(i, j)).toBeCloseTo(sum, 4);
          }
        }
      }),
      { seed: 16, numRuns: 60 },
    );
  });
});
