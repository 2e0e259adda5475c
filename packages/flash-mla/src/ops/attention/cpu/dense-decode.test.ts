import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../../runtime/device/device.ts';
import {
  type DenseShape,
  denseProblem,
  expectedDense,
  randomLengths,
  runDense,
} from './testing/dense-problem.ts';
import { errorBound, excessOf, openCpu, randomInt, randomSource } from './testing/problems.ts';

let fused: Device;
let plain: Device;

beforeAll(async () => {
  [fused, plain] = await Promise.all([openCpu(), openCpu({ relaxedSimd: false })]);
});
afterAll(() => Promise.all([fused.dispose(), plain.dispose()]));

async function check(device: Device, shape: DenseShape, seed: number, descale?: number) {
  const problem = denseProblem(randomSource(seed), shape);
  const expected = expectedDense(problem, { descale });
  const { out, lse } = runDense(device, problem, { descale });
  const label = JSON.stringify(shape);
  expect(await excessOf(lse, expected.lse), `lse of ${label}`).toBeLessThan(2e-6);
  expect(await excessOf(out, expected.out), `out of ${label}`).toBeLessThan(errorBound(device));
}

describe('dense decode against the float64 reference', () => {
  // Every tail of the score kernels (16, 12, 8 and 4 rows) and of the output kernels (1 and 2 rows).
  const rowCounts = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 31, 63, 126, 128, 129];
  it.each(rowCounts)('%d query heads', async (hQ) => {
    const shape = { lengths: [3, 200, 0, 65], sQ: 1, hQ, hK: 1, page: 64 };
    await check(fused, shape, hQ);
    await check(plain, shape, hQ);
  });

  it.each(['bf16', 'f16', 'e4m3'] as const)('%s, causal, several KV heads', async (dtype) => {
    const shape = { lengths: [1, 5, 130, 64], sQ: 3, hQ: 6, hK: 3, page: 16, dtype, causal: true };
    await check(fused, shape, 7, dtype === 'e4m3' ? 0.37 : undefined);
  });

  it.each([1, 3, 61, 64, 200])('pages of %d tokens', async (page) => {
    await check(fused, { lengths: [100, 7, 129], sQ: 2, hQ: 4, hK: 2, page, causal: true }, page);
  });

  it.each([
    [576, 512],
    [512, 512],
    [288, 256],
    [80, 48],
    [16, 16],
  ])('head dimensions %d and %d', async (dQk, dV) => {
    await check(fused, { lengths: [70, 20], sQ: 1, hQ: 5, hK: 1, page: 8, dQk, dV }, dQk);
  });

  it('agrees on random shapes', async () => {
    const random = randomSource(2024);
    for (let i = 0; i < 25; i++) {
      const hK = randomInt(random, 1, 3);
      const shape: DenseShape = {
        lengths: randomLengths(random, randomInt(random, 1, 6), 300),
        sQ: randomInt(random, 1, 4),
        hQ: hK * randomInt(random, 1, 40),
        hK,
        page: randomInt(random, 1, 80),
        dtype: random() < 0.3 ? 'f16' : 'bf16',
        causal: random() < 0.5,
        deterministic: random() < 0.3,
      };
      await check(random() < 0.3 ? plain : fused, shape, 1000 + i);
    }
  });

  it('folds many splits of a long request', async () => {
    const shape = { lengths: [5000, 9], sQ: 1, hQ: 3, hK: 1, page: 64 };
    await check(fused, shape, 5);
    await check(fused, { ...shape, deterministic: true }, 5);
  });
});
