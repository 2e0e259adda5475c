import { describe, expect, it } from 'vitest';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../kernel-lib/cuda/testing/sim-context.ts';
import {
  gemmCudaKernels,
  mmaGemm,
  streamGemm,
  transposedGemm,
  transposedMmaGemm,
} from './kernels.ts';
import type { GemmProblem } from './problem.ts';
import { fewRowsGemm } from './sm80_few_rows_gemm_launch.ts';

const limits = limitsFor('h200');

const rows = (dtype: 'bf16' | 'f32' | 'e4m3', alignment = 16) => ({
  ...{ dtype, strides: [4096, 0], alignment },
});

const problem = (more: Partial<GemmProblem> = {}): GemmProblem => ({
  ...{ rows: 1, batch: 1, columns: 2048, depth: 2048, transposed: false, allowsE4m3Rows: false },
  ...{
    x: rows('bf16'),
    weight: rows('bf16'),
    out: 'bf16',
    outAlignment: 16,
    bias: undefined,
    residual: undefined,
  },
  ...more,
});

/** The first kernel that takes a problem. */
const chosen = (of: GemmProblem, on: DeviceLimits = limits) =>
  [fewRowsGemm, mmaGemm, streamGemm, transposedMmaGemm, transposedGemm].find((kernel) =>
    kernel.accepts(of, on),
  );

describe('the kernel of a product', () => {
  it.each<[string, Partial<GemmProblem>, unknown]>([
    ['few rows', { rows: 16 }, fewRowsGemm],
    ['few rows of e4m3 weights', { rows: 1, weight: rows('e4m3') }, fewRowsGemm],
    ['few rows of other depths', { rows: 8, depth: 2044 }, streamGemm],
    ['many rows', { rows: 33 }, mmaGemm],
    ['e4m3 weights', { rows: 100, weight: rows('e4m3', 8) }, mmaGemm],
    ['rows that are not aligned', { rows: 100, x: rows('bf16', 8) }, streamGemm],
    ['a depth of no whole chunks', { rows: 100, depth: 2044 }, streamGemm],
    ['float32', { rows: 100, x: rows('f32') }, streamGemm],
    ['float32 weights', { rows: 100, weight: rows('f32') }, streamGemm],
    ['transposed weights', { rows: 1, transposed: true }, transposedMmaGemm],
    ['many rows with transposed weights', { rows: 100, transposed: true }, transposedMmaGemm],
    ['transposed float32', { transposed: true, weight: rows('f32') }, transposedGemm],
  ])('for %s', (_, more, kernel) => {
    expect(chosen(problem(more))).toBe(kernel);
    expect(gemmCudaKernels).toHaveLength(5);
  });

  it('has a key without sizes, but for the class of rows', () => {
    const key = (more: Partial<GemmProblem>) => mmaGemm.keyOf(problem(more));
    const many = key({ rows: 200 });
    expect(key({ rows: 5000, columns: 7, depth: 512, batch: 3 })).toEqual(many);
    expect(key({ rows: 30 })).not.toEqual(many);
    const tiles = new Set(
      [1, 2, 3, 4, 5, 8, 100].map((n) => streamGemm.keyOf(problem({ rows: n })).rowTile),
    );
    expect([...tiles]).toEqual([1, 2, 4, 8]);
  });
});

describe('products as machine code', () => {
  const launch = (name: string, more: Partial<GemmProblem>) => ({
    name,
    launch: (_: string, maxSharedPerBlock: number) => {
      const on = { ...limits, maxSharedPerBlock, maxSharedPerSm: maxSharedPerBlock + 1024 };
      return chosen(problem(more), on)?.plan(problem(more), on).launches.main;
    },
  });
  const all = { bias: 'bf16', residual: 'f32' } as const;
  itAssembles([
    ...[1, 16, 32].flatMap((n) => [
      launch(`${n} rows`, { rows: n, ...all }),
      launch(`${n} rows, deep`, { rows: n, depth: 7168, columns: 10_000, ...all }),
      launch(`${n} rows of e4m3`, { rows: n, weight: rows('e4m3') }),
    ]),
    ...[1, 2, 4, 8].map((n) => launch(`${n} rows of another depth`, { rows: n, depth: 2044 })),
    launch('1 row of e4m3, not aligned', { weight: rows('e4m3', 8) }),
    launch('8 rows of e4m3, not whole', { rows: 8, weight: rows('e4m3', 1), depth: 300 }),
    launch('8 rows of f32', { rows: 8, x: rows('f32'), weight: rows('f32'), out: 'f32' }),
    launch('8 rows, not aligned', {
      rows: 8,
      x: rows('bf16', 2),
      weight: rows('bf16', 2),
      depth: 37,
    }),
    ...[16, 64, 128].map((n) => launch(`${n} rows on tensor cores`, { rows: n, ...all })),
    ...[16, 64, 128].map((n) => launch(`${n} rows of e4m3`, { rows: n, weight: rows('e4m3') })),
    ...[16, 64, 128].map((n) => launch(`${n} rows, transposed`, { rows: n, transposed: true })),
    ...[1, 4].map((n) =>
      launch(`${n} rows of f32, transposed`, { rows: n, transposed: true, weight: rows('f32') }),
    ),
  ]);
});
