import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../../runtime/device/device.ts';
import { denseProblem, expectedDense, runDense } from './testing/dense-problem.ts';
import { errorBound, excessOf, openCpu, randomSource } from './testing/problems.ts';

let device: Device;

beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.dispose());

describe('infinities and NaN in the cache', () => {
  // denseProblem() fills all rows that no query sees with NaN; these are rows that some queries see.
  it.each([0x7fc0, 0x7f80, 0xff80])(
    'code %d reaches only the queries that see it',
    async (code) => {
      const shape = { lengths: [70, 3], sQ: 4, hQ: 5, hK: 1, page: 16, causal: true };
      const problem = denseProblem(randomSource(3), shape);
      const table = problem.blockTable.data;
      const data = problem.kCache.data as Uint16Array;
      // The last but one token of each request: queries 0 and 1 do not see it, 2 and 3 do.
      for (const [request, token] of [
        [0, 68],
        [1, 1],
      ] as const) {
        const block = table[
          request * (problem.blockTable.shape[1] as number) + (token >> 4)
        ] as number;
        data[(block * 16 + (token & 15)) * 576 + 100] = code;
      }
      const { out } = runDense(device, problem);
      const expected = expectedDense(problem);
      const values = await out.readFloat32();
      const rowOf = (request: number, query: number) =>
        values.subarray((request * 4 + query) * 5 * 512, (request * 4 + query + 1) * 5 * 512);
      for (const request of [0, 1]) {
        for (const query of [0, 1]) expect(rowOf(request, query).every(Number.isFinite)).toBe(true);
        for (const query of [2, 3])
          expect(rowOf(request, query).every(Number.isFinite)).toBe(false);
      }
      for (const request of [0, 1]) {
        const from = request * 4 * 5 * 512;
        for (let i = from; i < from + 2 * 5 * 512; i++) {
          expect(Math.abs((values[i] as number) - (expected.out[i] as number))).toBeLessThan(1e-2);
        }
      }
    },
  );

  it.each([0x7f80, 0xff80])('code %d stays in its own column', async (code) => {
    // As many rows as share a panel of the kernels that take values as they lie, two columns at a time. Half of the
    // queries give the token a logit of -inf, and so no weight.
    const shape = { lengths: [300], sQ: 1, hQ: 16, hK: 1, page: 64 };
    const problem = denseProblem(randomSource(5), shape);
    const block = problem.blockTable.data[2] as number;
    const data = problem.kCache.data as Uint16Array;
    data[(block * 64 + 9) * 576 + 101] = code;
    const { out } = runDense(device, problem);
    const expected = expectedDense(problem);
    const values = await out.readFloat32();
    let numbers = 0;
    for (const [i, value] of values.entries()) {
      const wanted = expected.out[i] as number;
      expect(Number.isFinite(value)).toBe(Number.isFinite(wanted));
      if (!Number.isFinite(wanted)) continue;
      expect(Math.abs(value - wanted)).toBeLessThan(1e-2);
      if (i % 512 === 100) numbers++;
    }
    expect(numbers).toBeGreaterThan(0);
  });

  it('never reach a result from rows that nobody sees', async () => {
    const shape = { lengths: [1, 63, 64, 65, 127], sQ: 2, hQ: 3, hK: 2, page: 64 };
    const problem = denseProblem(randomSource(4), { ...shape, hQ: 4 });
    const { out } = runDense(device, problem);
    expect(await excessOf(out, expectedDense(problem).out)).toBeLessThan(errorBound(device));
  });
});
