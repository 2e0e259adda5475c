import { describe, expect, it } from 'vitest';
import { generateProblem } from '../../../cases/conformance/generate/index.ts';
import type { SparseParams } from '../../../cases/conformance/params.ts';
import type { SparseDecode } from '../../../cases/problem.ts';
import { blocksOfTopk } from '../../../reference/index.ts';
import { hopperSparseDecode } from './sm90_sparse_decode_launch.ts';
import { limitsFor } from './testing/sim-context.ts';
import { decode, expectRight, resultsOf } from './testing/sparse-walks.ts';

const limits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };

interface Walk extends Pick<SparseParams, 'hQ' | 'sink' | 'invalid'> {
  readonly name: string;
  readonly lengths: readonly number[];
  readonly sQ?: number;
  readonly topk?: number;
  readonly page?: number;
  readonly numParts: number;
  readonly splitBlocks?: number;
  /** Results of each part in turn: of a whole request, or of a split of one. */
  readonly results: readonly string[];
}

const walks: readonly Walk[] = [
  {
    name: 'one part, 64 heads',
    ...{ hQ: 64, lengths: [256], numParts: 1, results: ['whole'] },
  },
  {
    name: 'odd and even numbers of blocks, ends inside a block, nothing at all',
    ...{ hQ: 37, lengths: [50, 250, 0, 128, 130, 1], page: 48 },
    ...{ numParts: 1, results: ['whole whole whole whole whole whole'] },
  },
  {
    name: 'two row tiles, two queries, splits',
    ...{ hQ: 71, sQ: 2, lengths: [50, 250, 128], numParts: 2 },
    results: ['whole split', 'split whole'],
  },
  {
    name: 'splits of single blocks, indices of every kind',
    ...{ hQ: 64, lengths: [50, 250, 128], numParts: 2, splitBlocks: 1, invalid: 'rows' },
    results: ['whole split split split', 'split split split'],
  },
];

function problemOf({ name, lengths, topk = 256, page = 64, sQ = 1, hQ, sink, invalid }: Walk) {
  const b = lengths.length;
  const cache = { sK: 300, topk, page };
  const params = { op: 'sparse-decode', layout: 'v32', b, sQ, hQ, cache, sink, invalid } as const;
  return {
    ...generateProblem(name, params as SparseParams),
    topkLength: { dtype: 'i32', shape: [b], data: Int32Array.from(lengths) },
  } as SparseDecode;
}

// Parts walk several pieces: odd and even numbers of blocks, single ones, and ends inside a block.
describe('sparse decode on warp groups in the simulator', () => {
  it.each(walks)('$name', (walk) => {
    const { lengths, topk = 256, numParts, splitBlocks = 0, results } = walk;
    const problem = problemOf(walk);
    const blocks = blocksOfTopk({ batch: lengths.length, topk, topkLength: [...lengths] }, 64);
    const plan = { numParts, blockTokens: 64, overheadBlocks: 0, splitBlocks };
    expect(resultsOf(blocks, plan)).toEqual(results);
    expectRight(problem, decode(hopperSparseDecode, limits, problem, blocks, plan));
  });
});
