import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import { denseProblem } from '../testing/dense-problem.ts';
import { dataOf, decode, expectRight, expectSameAlone, type Walk } from '../testing/walks.ts';
import { e4m3DenseDecode } from './sm90_e4m3_dense_decode_launch.ts';

const limits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };

const problem = (changes: Partial<DenseDecodeProblem> = {}) =>
  denseProblem({
    dtype: 'e4m3',
    numHeadsQ: 16,
    hasDescaleQ: true,
    hasDescaleK: true,
    plan: { numParts: 132, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 },
    ...changes,
  });

describe('dense decode of e4m3 on warp groups', () => {
  it('takes the problems it is made for', () => {
    const takes = (changes: Partial<DenseDecodeProblem>) =>
      e4m3DenseDecode.accepts(problem(changes));
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

/** Requests of 5, 1, 1, 2, 4, 1, 1 and 3 blocks: more than the ring has stages, in pairs and alone. */
const allKinds = [299, 0, 64, 107, 200, 1, 0, 192];
const eachWhole = allKinds.map(() => 1);

const walks: readonly Walk[] = [
  {
    name: 'one part, 16 rows, with descales',
    ...{ hQ: 16, lengths: allKinds, numParts: 1, splits: eachWhole },
    descales: { q: 0.25, k: 0.5 },
  },
  {
    name: 'one part, 32 rows, f16, without descales',
    ...{ hQ: 32, lengths: allKinds, numParts: 1, splits: eachWhole, out: 'f16' },
  },
  {
    name: 'splits of 1 to 4 blocks, 17 rows, a descale of k',
    ...{ hQ: 17, lengths: [580, 0, 330], numParts: 5, splits: [3, 1, 3] },
    descales: { k: 2 },
  },
  {
    name: 'splits of single blocks, 5 rows, pages of 128, a descale of q',
    ...{ hQ: 5, page: 128, lengths: [190, 70], numParts: 5, splits: [3, 2] },
    descales: { q: 0.5 },
  },
  {
    name: 'two KV heads, two queries, causal, pages of 128',
    ...{ hQ: 10, sQ: 2, hKv: 2, causal: true, page: 128 },
    ...{ lengths: [1, 65, 129, 64, 0, 300], numParts: 3, splits: [1, 1, 2, 1, 1, 2] },
  },
  {
    name: 'two KV heads, two queries that see all, 32 rows, f16',
    ...{ hQ: 32, sQ: 2, hKv: 2, lengths: [1, 129], numParts: 1, splits: [1, 1], out: 'f16' },
  },
  {
    name: 'more pages than a warp has lanes, references that move',
    ...{ hQ: 8, lengths: [64 * 38 + 5], numParts: 1, splits: [1], sharpness: 'peaky' },
  },
];

// Parts walk several pieces: odd and even numbers of blocks, single ones, and ends inside a block.
describe('dense decode of e4m3 in the simulator', () => {
  it.each(walks)('$name', (walk) => {
    const data = dataOf('e4m3', walk);
    expectRight(walk, data, decode(e4m3DenseDecode, data, walk));
  });

  it('gives a request the same bits in every batch, if splits do not depend on it', () => {
    const walk = {
      name: 'deterministic',
      ...{ hQ: 16, lengths: [390, 0, 64, 450], numParts: 3, splitBlocks: 3, splits: [3, 1, 1, 3] },
    };
    expectSameAlone(e4m3DenseDecode, 'e4m3', walk);
  });
});
