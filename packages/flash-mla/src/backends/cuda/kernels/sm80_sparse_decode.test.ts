import { describe } from 'vitest';
import type { KvRowLayout } from '../../backend.ts';
import type { SparseCacheProblem, SparseDecodeProblem } from '../problems.ts';
import { sparseDecode } from './sm80_sparse_decode_launch.ts';
import { itAssembles } from './testing/assembly.ts';
import { limitsFor } from './testing/sim-context.ts';

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
  [16, 64].flatMap((numHeadsQ) => caches.map((each) => ({ layout, numHeadsQ, ...each }))),
);

describe('sparse decode on tensor cores', () => {
  for (const part of ['main', 'combine'] as const) {
    const some = part === 'main' ? shapes : shapes.slice(0, 1);
    itAssembles(
      some.map((shape) => ({
        name: `${part}, ${Object.values(shape).join(' ')}`,
        launch: (target, maxSharedPerBlock) => {
          const limits = { ...limitsFor('h200'), target, maxSharedPerBlock };
          return sparseDecode.plan(problemOf(shape), limits).launches[part];
        },
      })),
    );
  }
});
