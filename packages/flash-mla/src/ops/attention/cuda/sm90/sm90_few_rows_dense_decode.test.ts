import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import { denseProblem } from '../testing/dense-problem.ts';
import { dataOf, decode, expectRight, expectSameAlone, type Walk } from '../testing/walks.ts';
import { withHeadDims } from '../testing/with-head-dims.ts';
import { fewRowsDenseDecode } from './sm90_dense_decode_launch.ts';

const limits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };

const problem = (changes: Partial<DenseDecodeProblem> = {}) =>
  denseProblem({
    numHeadsQ: 16,
    plan: { numParts: 132, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 },
    ...changes,
  });

describe('dense decode of few rows on warp groups', () => {
  it('is chosen for up to 16 rows of a KV head', () => {
    const main = (changes: Partial<DenseDecodeProblem>) =>
      fewRowsDenseDecode.accepts(problem(changes))
        ? fewRowsDenseDecode.plan(problem(changes), limits).launches.main
        : undefined;
    const name = 'sm90_few_rows_dense_decode';
    expect(main({})).toMatchObject({ kernel: { name }, grid: [1, 1, 132] });
    expect(main({ numHeadsQ: 1 })?.kernel.name).toBe(name);
    expect(main({ numHeadsQ: 64, numHeadsKv: 8, seqLenQ: 2 })).toMatchObject({
      kernel: { name },
      grid: [1, 8, 132],
    });
    expect(main({ numHeadsQ: 17 })).toBeUndefined();
  });

  const shapes = (['bf16', 'f16'] as const).flatMap((dtype) =>
    [64, 256].map((pageSize) => ({ dtype, outDtype: dtype, pageSize })),
  );
  itAssembles(
    shapes.map((shape) => ({
      name: Object.values(shape).join(' '),
      launch: (target) =>
        target === 'sm_90a'
          ? fewRowsDenseDecode.plan(problem(shape), limits).launches.main
          : undefined,
    })),
  );
});

/** Requests of 5, 1, 1, 2, 4, 1, 1 and 3 blocks: more than there are stages, and single ones. */
const allKinds = [299, 0, 64, 107, 200, 1, 0, 192];
const eachWhole = allKinds.map(() => 1);

const walks: readonly (Walk & { readonly dtype?: 'f16' })[] = [
  {
    name: 'one part, 16 rows',
    ...{ hQ: 16, lengths: allKinds, numParts: 1, splits: eachWhole },
  },
  {
    name: 'one part, 14 rows, f16',
    ...{ hQ: 14, lengths: allKinds, numParts: 1, splits: eachWhole, dtype: 'f16' },
  },
  {
    name: 'splits of 1 to 4 blocks, 13 rows',
    ...{ hQ: 13, lengths: [580, 0, 330], numParts: 5, splits: [3, 1, 3] },
  },
  {
    name: 'splits of single blocks, 5 rows, f16, pages of 128',
    ...{ hQ: 5, page: 128, lengths: [190, 70], numParts: 5, splits: [3, 2], dtype: 'f16' },
  },
  {
    name: 'two KV heads, two queries, causal, pages of 128',
    ...{ hQ: 10, sQ: 2, hKv: 2, causal: true, page: 128 },
    ...{ lengths: [1, 65, 129, 64, 0, 300], numParts: 3, splits: [1, 1, 2, 1, 1, 2] },
  },
  {
    name: 'two KV heads, two queries that see all, 16 rows',
    ...{ hQ: 16, sQ: 2, hKv: 2, lengths: [1, 129], numParts: 1, splits: [1, 1] },
  },
  {
    name: 'more pages than a warp has lanes, references that move',
    ...{ hQ: 8, lengths: [64 * 38 + 5], numParts: 1, splits: [1], sharpness: 'peaky' },
  },
];

// Parts walk several pieces: odd and even numbers of blocks, single ones, and ends inside a block.
describe('dense decode of few rows in the simulator', () => {
  it.each(walks)('$name', (walk) => {
    const data = dataOf(walk.dtype ?? 'bf16', walk);
    expectRight(walk, data, decode(fewRowsDenseDecode, data, walk));
  });

  it('of other head dimensions', () => {
    const headDims = { headDimQk: 320, headDimV: 256 };
    const walk = {
      name: 'keys of 320 columns, splits of 1 to 4 blocks',
      ...{ hQ: 13, lengths: [580, 0, 330], numParts: 5, splits: [3, 1, 3], headDims },
    };
    const data = dataOf('bf16', walk);
    expectRight(walk, data, decode(withHeadDims(fewRowsDenseDecode, headDims), data, walk));
  });

  it('gives a request the same bits in every batch, if splits do not depend on it', () => {
    expectSameAlone(fewRowsDenseDecode, 'bf16', {
      name: 'deterministic',
      ...{ hQ: 16, lengths: [390, 0, 64, 450], numParts: 3, splitBlocks: 3, splits: [3, 1, 1, 3] },
    });
  });
});
