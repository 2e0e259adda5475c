import { describe, expect, it } from 'vitest';
import type { DenseDecodeProblem } from '../problems.ts';
import { e4m3DenseDecode } from './sm90_e4m3_dense_decode_launch.ts';
import { itAssembles } from './testing/assembly.ts';
import { limitsFor } from './testing/sim-context.ts';

const limits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };

function problem(changes: Partial<DenseDecodeProblem> = {}): DenseDecodeProblem {
  return {
    dtype: 'e4m3',
    outDtype: 'bf16',
    batch: 8,
    seqLenQ: 1,
    numHeadsQ: 16,
    numHeadsKv: 1,
    headDimQk: 576,
    headDimV: 512,
    causal: true,
    softmaxScale: 1,
    numBlocks: 99,
    pageSize: 64,
    maxBlocks: 20,
    blockTableStride: 20,
    hasDescaleQ: true,
    hasDescaleK: true,
    q: { strides: [9216, 0, 576], alignment: 16 },
    kCache: { strides: [36864, 576, 0], alignment: 16 },
    plan: { numParts: 132, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 },
    ...changes,
  };
}

describe('dense decode of e4m3 on warp groups', () => {
  it('takes the problems it is made for', () => {
    const takes = (changes: Partial<DenseDecodeProblem>) =>
      e4m3DenseDecode.accepts?.(problem(changes), limits);
    expect(takes({})).toBe(true);
    expect(takes({ numHeadsQ: 32, pageSize: 256 })).toBe(true);
    expect(takes({ numHeadsQ: 8, seqLenQ: 4 })).toBe(true);
    expect(takes({ numHeadsQ: 128, numHeadsKv: 8 })).toBe(true);
    expect(takes({ numHeadsQ: 33 })).toBe(false);
    expect(takes({ dtype: 'bf16' })).toBe(false);
    expect(takes({ pageSize: 48 })).toBe(false);
    expect(takes({ headDimV: 256 })).toBe(false);
    expect(takes({ q: { strides: [9216, 0, 576], alignment: 8 } })).toBe(false);
  });

  it('rounds rows up to 16 or 32', () => {
    const tile = (numHeadsQ: number) =>
      e4m3DenseDecode.plan(problem({ numHeadsQ }), limits).launches.main?.config;
    expect(tile(5)).toMatchObject({ tile: { rows: 16 } });
    expect(tile(17)).toMatchObject({ tile: { rows: 32 } });
  });

  const shapes = (['bf16', 'f16'] as const).flatMap((outDtype) =>
    [16, 32].flatMap((numHeadsQ) =>
      [64, 256].map((pageSize) => ({ outDtype, numHeadsQ, pageSize })),
    ),
  );
  itAssembles(
    shapes.map((shape) => ({
      name: Object.values(shape).join(' '),
      launch: (target) =>
        target === 'sm_90a'
          ? e4m3DenseDecode.plan(problem(shape), limits).launches.main
          : undefined,
    })),
  );
});
