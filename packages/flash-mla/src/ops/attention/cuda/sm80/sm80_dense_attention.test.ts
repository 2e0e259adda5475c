import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import type { DenseAttentionProblem } from '../problems.ts';
import {
  type CachedAttention,
  expectCached,
  expectPacked,
  type PackedAttention,
} from '../testing/dense-attention.ts';
import type { MhaTile } from './mha/tile.ts';
import { portableDenseAttention } from './sm80_dense_attention_launch.ts';

describe('dense attention in the simulator', () => {
  const packed: PackedAttention[] = [
    {
      q: [20, 0, 37, 1],
      k: [70, 5, 37, 0],
      hQ: 4,
      hK: 2,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
    },
    {
      q: [70],
      k: [140],
      hQ: 2,
      hK: 1,
      dQk: 128,
      dV: 128,
      dtype: 'bf16',
      causal: false,
      gpu: 'ada',
    },
    { q: [150], k: [100], hQ: 1, hK: 1, dQk: 64, dV: 64, dtype: 'f16', causal: true, gpu: 'a100' },
    {
      q: [17, 3],
      k: [66, 130],
      hQ: 3,
      hK: 1,
      dQk: 96,
      dV: 80,
      dtype: 'f16',
      causal: true,
      gpu: 'h200',
    },
    {
      q: [9],
      k: [100],
      hQ: 2,
      hK: 2,
      dQk: 72,
      dV: 24,
      dtype: 'bf16',
      causal: false,
      gpu: 'ada',
      gap: 1,
    },
    {
      q: [9, 5],
      k: [30, 33],
      hQ: 2,
      hK: 1,
      dQk: 8,
      dV: 8,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
      gap: 4,
    },
    { q: [40], k: [90], hQ: 2, hK: 1, dQk: 256, dV: 256, dtype: 'bf16', causal: true, gpu: 'ada' },
    { q: [80], k: [90], hQ: 2, hK: 1, dQk: 256, dV: 256, dtype: 'f16', causal: true, gpu: 'h200' },
    {
      q: [140, 9],
      k: [150, 20],
      hQ: 2,
      hK: 1,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
      smCount: 1,
    },
    {
      q: [150, 40],
      k: [100, 140],
      hQ: 2,
      hK: 1,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'a100',
      smCount: 1,
    },
    {
      q: [70, 1],
      k: [80, 70],
      hQ: 2,
      hK: 1,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'ada',
      smCount: 1,
    },
    {
      q: [40],
      k: [150],
      hQ: 2,
      hK: 1,
      dQk: 256,
      dV: 256,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
      smCount: 1,
    },
  ];
  it.each(packed)('equals the reference on packed sequences: %o', (options) =>
    expectPacked(portableDenseAttention, options),
  );

  const cached: CachedAttention[] = [
    {
      sQ: 4,
      page: 16,
      paged: true,
      hQ: 8,
      hK: 2,
      dQk: 192,
      dV: 128,
      dtype: 'bf16',
      causal: true,
      gpu: 'h200',
    },
    {
      sQ: 1,
      page: 64,
      paged: true,
      hQ: 4,
      hK: 1,
      dQk: 128,
      dV: 128,
      dtype: 'bf16',
      causal: false,
      gpu: 'a100',
    },
    {
      sQ: 3,
      page: 7,
      paged: true,
      hQ: 2,
      hK: 2,
      dQk: 64,
      dV: 64,
      dtype: 'f16',
      causal: true,
      gpu: 'ada',
    },
    {
      sQ: 2,
      page: 130,
      paged: false,
      hQ: 6,
      hK: 2,
      dQk: 128,
      dV: 64,
      dtype: 'f16',
      causal: true,
      gpu: 'ada',
      gap: 8,
    },
  ];
  it.each(cached)('equals the reference over a cache: %o', (options) =>
    expectCached(portableDenseAttention, options),
  );
});

/** A problem of which only what matters to selection is told. */
function problemOf(given: Partial<DenseAttentionProblem>): DenseAttentionProblem {
  return {
    dtype: 'bf16',
    batch: 1,
    totalQ: 4096,
    totalK: 4096,
    numHeadsQ: 16,
    numHeadsKv: 16,
    headDimQk: 128,
    headDimV: 128,
    causal: true,
    softmaxScale: 1,
    maxSeqLenQ: 4096,
    maxSeqLenK: 4096,
    hasCuSeqlensQ: true,
    keys: 'packed',
    numBlocks: 0,
    pageSize: 0,
    maxBlocks: 0,
    blockTableStride: 0,
    q: { strides: [2048, 128], alignment: 16 },
    k: { strides: [2048, 128], alignment: 16 },
    v: { strides: [2048, 128], alignment: 16 },
    ...given,
  };
}

describe('dense attention as machine code', () => {
  const dims = [
    [64, 64],
    [96, 96],
    [128, 128],
    [192, 128],
    [72, 40],
    [256, 256],
    [256, 64],
    [64, 256],
  ];
  const problems = dims.flatMap(([headDimQk, headDimV]) => [
    problemOf({ headDimQk, headDimV }),
    problemOf({ headDimQk, headDimV, maxSeqLenQ: 1, keys: 'paged', pageSize: 16 }),
  ]);
  problems.push(
    problemOf({ headDimQk: 192, keys: 'paged', pageSize: 64, dtype: 'f16' }),
    problemOf({
      headDimQk: 192,
      q: { strides: [2049, 128], alignment: 2 },
      k: { strides: [2049, 128], alignment: 2 },
      v: { strides: [2049, 128], alignment: 2 },
    }),
  );
  itAssembles(
    problems.map((problem) => ({
      name: `(${problem.headDimQk}, ${problem.headDimV}), ${problem.maxSeqLenQ} queries, ${problem.keys}, alignment ${problem.k.alignment}`,
      launch: (target, maxSharedPerBlock) => {
        const limits = { ...limitsFor('h200'), target, maxSharedPerBlock };
        return portableDenseAttention.plan(problem, limits).launches.main;
      },
    })),
  );

  it.each([
    ['h200', { headDimQk: 192 }, { warps: 4, rowTiles: 2, tokens: 32, query: 'shared' }],
    ['h200', { headDimQk: 64, headDimV: 64 }, { warps: 4, rowTiles: 2, tokens: 64 }],
    ['a100', { headDimQk: 192 }, { warps: 4, rowTiles: 2, tokens: 32, query: 'shared' }],
    ['ada', { headDimQk: 192 }, { warps: 4, rowTiles: 2, tokens: 32, query: 'shared' }],
    ['ada', { headDimQk: 256, headDimV: 256 }, { warps: 4, rowTiles: 1, query: 'shared' }],
    ['h200', { maxSeqLenQ: 128 }, { warps: 4, rowTiles: 1, query: 'registers' }],
    ['h200', { maxSeqLenQ: 2, numHeadsQ: 32, batch: 99 }, { warps: 4, rowTiles: 1 }],
  ] as const)('selects for %s and %o', (gpu, given, tile: Partial<MhaTile>) => {
    const { config } = portableDenseAttention.plan(problemOf(given), limitsFor(gpu)).launches.main;
    expect(config).toMatchObject({ tile });
  });
});
