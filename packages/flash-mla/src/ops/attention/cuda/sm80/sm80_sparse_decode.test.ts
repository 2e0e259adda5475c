import { describe, expect, it } from 'vitest';
import { generateProblem } from '../../../cases.ts';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, type testLimits } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import type { KvRowLayout } from '../../../kernel-lib/row-layout.ts';
import { blocksOfTopk } from '../../../reference.ts';
import type { SparseParams } from '../../conformance/params.ts';
import type { SparseDecode } from '../../conformance/problems.ts';
import type { SparseCacheProblem, SparseDecodeProblem } from '../problems.ts';
import { decode, expectRight, resultsOf } from '../testing/sparse-walks.ts';
import { portableSparseDecode } from './sm80_sparse_decode_launch.ts';

interface Shape {
  readonly layout: KvRowLayout;
  readonly numHeadsQ: number;
  readonly pageSize: number;
  /** Of the second cache, if there is one. */
  readonly extraPageSize?: number;
}

function problemOf({ layout, numHeadsQ, pageSize, extraPageSize }: Shape): SparseDecodeProblem {
  const headDimQk = layout === 'model1' ? 512 : 576;
  const cache = (page: number): SparseCacheProblem => ({
    numBlocks: 99,
    pageSize: page,
    topk: 512,
    hasTopkLength: true,
    kCache: { strides: [page * 1152, 1152], alignment: 16 },
    indices: { strides: [1024, 512], alignment: 16 },
  });
  return {
    layout,
    batch: 4,
    seqLenQ: 2,
    numHeadsQ,
    headDimQk,
    headDimV: 512,
    softmaxScale: 1,
    hasAttnSink: true,
    q: { strides: [9999 * 16, 1024 * 16, 1024], alignment: 16 },
    main: cache(pageSize),
    extra: extraPageSize === undefined ? undefined : cache(extraPageSize),
    plan: { numParts: 66, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 },
  };
}

const caches = [
  { pageSize: 64 },
  { pageSize: 256, extraPageSize: 64 },
  { pageSize: 48, extraPageSize: 2 },
];
const shapes = (['v32', 'model1', 'bf16'] as const).flatMap((layout) =>
  [16, 32, 64].flatMap((numHeadsQ) => caches.map((each) => ({ layout, numHeadsQ, ...each }))),
);

describe('sparse decode on tensor cores', () => {
  for (const part of ['main', 'combine'] as const) {
    const some = part === 'main' ? shapes : shapes.slice(0, 1);
    itAssembles(
      some.map((shape) => ({
        name: `${part}, ${Object.values(shape).join(' ')}`,
        launch: (target, maxSharedPerBlock) => {
          const sm = Number(target.replace(/\D/g, ''));
          const limits = { ...limitsFor('h200'), sm, target, maxSharedPerBlock };
          return portableSparseDecode.plan(problemOf(shape), limits).launches[part];
        },
      })),
    );
  }
});

/** Tokens that count of each request: 1, 4 and 2 blocks. */
const lengths = [50, 250, 128];
const topk = 256;

interface Walk extends Pick<SparseParams, 'layout' | 'hQ' | 'extra' | 'sink'> {
  readonly gpu: keyof typeof testLimits;
  readonly splitBlocks: number;
  /** Results of each part in turn: of a whole request, or of a split of one. */
  readonly results: readonly string[];
}

const walks: readonly Walk[] = [
  { gpu: 'h200', layout: 'v32', hQ: 37, splitBlocks: 0, results: ['whole split', 'split whole'] },
  {
    gpu: 'h200',
    layout: 'model1',
    hQ: 71,
    extra: { sK: 70, topk: 64, page: 8 },
    sink: 'finite',
    splitBlocks: 4,
    results: ['whole split', 'split whole'],
  },
  {
    gpu: 'a100',
    layout: 'v32',
    hQ: 45,
    sink: 'finite',
    splitBlocks: 1,
    results: ['whole split split split', 'split split split'],
  },
  { gpu: 'a100', layout: 'bf16', hQ: 37, splitBlocks: 0, results: ['whole split', 'split whole'] },
  { gpu: 'ada', layout: 'v32', hQ: 37, splitBlocks: 0, results: ['whole split', 'split whole'] },
];

describe('sparse decode in the simulator', () => {
  // Results pass through the place of the keys: a part must keep them apart from its next piece's.
  it.each(walks)(
    'goes through several pieces: $layout, $hQ heads, $gpu, $results',
    ({ gpu, splitBlocks, results, ...shape }) => {
      const params = { op: 'sparse-decode', b: lengths.length, sQ: 1, ...shape } as const;
      const cache = { sK: 300, topk, page: 64 };
      const problem = {
        ...generateProblem(`pieces ${shape.layout}`, { ...params, cache }),
        topkLength: { dtype: 'i32', shape: [lengths.length], data: Int32Array.from(lengths) },
      } as SparseDecode;
      const extraTopk = shape.extra?.topk ?? 0;
      const blocks = blocksOfTopk({ batch: 3, topk, topkLength: lengths, extraTopk }, 64);
      const plan = { numParts: 2, blockTokens: 64, overheadBlocks: 0, splitBlocks };
      expect(resultsOf(blocks, plan)).toEqual(results);

      const answer = decode(portableSparseDecode, limitsFor(gpu), problem, blocks, plan);
      expectRight(problem, answer);
    },
  );
});
