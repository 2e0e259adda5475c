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
import { consumerRegisters, producerRegisters } from './attention/tile.ts';
import { hopperDenseAttention } from './sm90_dense_attention_launch.ts';

const limits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };
const on = { gpu: 'h200', smCount: 3, limits: { specificTarget: 'sm_90a' } } as const;
const bf16 = { ...on, dtype: 'bf16' } as const;
const mha = { hQ: 2, hK: 2, dQk: 192, dV: 128 } as const;

/** A problem of which only what matters to selection is told. */
function problemOf(given: Partial<DenseAttentionProblem>): DenseAttentionProblem {
  return {
    dtype: 'bf16',
    batch: 4,
    totalQ: 16384,
    totalK: 16384,
    numHeadsQ: 16,
    numHeadsKv: 16,
    headDimQk: 192,
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
    q: { strides: [3072, 192], alignment: 16 },
    k: { strides: [3072, 192], alignment: 16 },
    v: { strides: [2048, 128], alignment: 16 },
    ...given,
  };
}

const paged = (pageSize: number) =>
  ({ keys: 'paged', pageSize, totalK: 0, numBlocks: 99, maxBlocks: 9 }) as const;

describe('dense attention on warp groups', () => {
  it('takes the problems it is made for', () => {
    const takes = (changes: Partial<DenseAttentionProblem>) =>
      hopperDenseAttention.accepts(problemOf(changes));
    expect(takes({})).toBe(true);
    expect(takes({ headDimQk: 128 })).toBe(true);
    expect(takes({ headDimQk: 256, headDimV: 256, dtype: 'f16' })).toBe(true);
    expect(takes({ headDimQk: 96, headDimV: 96 })).toBe(false);
    expect(takes({ q: { strides: [3076, 192], alignment: 8 } })).toBe(false);
    expect(takes({ totalK: 0 })).toBe(false);
    expect([16, 64, 128, 384].map((size) => takes(paged(size)))).toEqual(Array(4).fill(true));
    expect([1, 8, 48, 192].map((size) => takes(paged(size)))).toEqual(Array(4).fill(false));
    // Few rows would leave tiles mostly empty.
    expect(takes({ maxSeqLenQ: 63 })).toBe(false);
    expect(takes({ maxSeqLenQ: 8, numHeadsKv: 2 })).toBe(true);
  });

  it('puts as many heads of a group into a tile as a power of two can', () => {
    const main = (changes: Partial<DenseAttentionProblem>) =>
      hopperDenseAttention.plan(problemOf(changes), limits).launches.main;
    const heads = (numHeadsQ: number, numHeadsKv: number) =>
      main({ numHeadsQ, numHeadsKv }).config.tile.heads;
    expect([heads(16, 16), heads(16, 2), heads(20, 1), heads(15, 5)]).toEqual([1, 8, 4, 1]);
    expect(main({}).grid).toEqual([132, 1, 1]);
    expect(main({ batch: 1, totalQ: 70, maxSeqLenQ: 70 }).grid).toEqual([16, 1, 1]);
  });

  it('gives out no more registers than the three warp groups start with', () => {
    const atStart = 8 * Math.floor(65536 / 384 / 8);
    expect(producerRegisters + 2 * consumerRegisters).toBeLessThanOrEqual(3 * atStart);
  });

  const dims = [
    [128, 128],
    [192, 128],
    [256, 256],
  ];
  const problems = dims.flatMap(([headDimQk, headDimV]) => [
    problemOf({ headDimQk, headDimV }),
    problemOf({ headDimQk, headDimV, numHeadsKv: 2, ...paged(16), hasCuSeqlensQ: false }),
    problemOf({ headDimQk, headDimV, ...paged(256), dtype: 'f16' }),
  ]);
  itAssembles(
    problems.map((problem) => ({
      name: `(${problem.headDimQk}, ${problem.headDimV}), ${problem.keys} ${problem.pageSize}`,
      launch: (target) =>
        target === 'sm_90a' ? hopperDenseAttention.plan(problem, limits).launches.main : undefined,
    })),
  );

  it('leaves its counter at 0 and finds all tiles, whatever CTA takes them', () => {
    const q = [1, 0, 130, ...Array(32).fill(0), 70];
    const k = q.map((_, i) => [9, 9, 9, 64][i] ?? 3);
    for (const smCount of [1, 5]) {
      const dims = { hQ: 1, hK: 1, dQk: 128, dV: 128 };
      expectPacked(hopperDenseAttention, { ...bf16, ...dims, q, k, causal: false, smCount });
    }
  });
});

describe('dense attention on warp groups, in the simulator', () => {
  const packed: PackedAttention[] = [
    { ...bf16, ...mha, q: [150, 0, 37, 1], k: [170, 5, 37, 0], causal: true, hK: 1 },
    { ...bf16, ...mha, q: [140, 260], k: [140, 100], causal: true, gap: 8 },
    { ...on, dtype: 'f16', hQ: 8, hK: 1, dQk: 128, dV: 128, q: [20], k: [290], causal: true },
    { ...bf16, hQ: 3, hK: 1, dQk: 128, dV: 128, q: [70], k: [129], causal: false },
    { ...bf16, hQ: 1, hK: 1, dQk: 256, dV: 256, q: [130], k: [190], causal: true },
  ];
  it.each(packed)('equals the reference on packed sequences: %o', (options) =>
    expectPacked(hopperDenseAttention, options),
  );

  const cached: CachedAttention[] = [
    { ...bf16, sQ: 40, page: 16, paged: true, ...mha, causal: true },
    { ...bf16, sQ: 24, page: 64, paged: true, hQ: 8, hK: 2, dQk: 128, dV: 128, causal: true },
    { ...bf16, sQ: 64, page: 256, paged: true, hQ: 1, hK: 1, dQk: 256, dV: 256, causal: false },
    { ...bf16, sQ: 33, page: 130, paged: false, hQ: 4, hK: 1, dQk: 128, dV: 128, causal: true },
  ];
  it.each(cached)('equals the reference over a cache: %o', (options) =>
    expectCached(hopperDenseAttention, options),
  );
});
