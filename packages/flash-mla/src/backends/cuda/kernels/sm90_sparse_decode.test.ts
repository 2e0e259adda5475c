import { describe, expect, it } from 'vitest';
import { generateProblem } from '../../../cases/conformance/generate/index.ts';
import type { SparseParams } from '../../../cases/conformance/params.ts';
import type { SparseDecode } from '../../../cases/problem.ts';
import { blocksOfTopk } from '../../../reference/index.ts';
import { decodeBf16, encodeBf16 } from '../../../tensor/float16.ts';
import type { SparseCacheProblem, SparseDecodeProblem } from '../problems.ts';
import { hopperSparseDecode } from './sm90_sparse_decode_launch.ts';
import { itAssembles } from './testing/assembly.ts';
import { limitsFor } from './testing/sim-context.ts';
import { decode, expectRight, resultsOf } from './testing/sparse-walks.ts';

const limits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };

/** A problem of sparse decoding in the shape that tests plan for. */
function planned(changes: Partial<SparseDecodeProblem> = {}): SparseDecodeProblem {
  const { numHeadsQ = 128 } = changes;
  return {
    layout: 'v32',
    batch: 8,
    seqLenQ: 2,
    numHeadsQ,
    headDimQk: 576,
    headDimV: 512,
    softmaxScale: 1,
    hasAttnSink: false,
    q: { strides: [2 * numHeadsQ * 576, numHeadsQ * 576, 576], alignment: 16 },
    main: cacheOf(64),
    extra: undefined,
    plan: { numParts: 33, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 },
    ...changes,
  };
}

const cacheOf = (pageSize: number, rowBytes = 656): SparseCacheProblem => ({
  numBlocks: 99,
  pageSize,
  topk: 2048,
  hasTopkLength: false,
  kCache: { strides: [pageSize * rowBytes, rowBytes], alignment: 16 },
  indices: { strides: [4096, 2048], alignment: 16 },
});

describe('sparse decode on warp groups', () => {
  it('takes the problems it is made for', () => {
    const takes = (changes: Partial<SparseDecodeProblem>) =>
      hopperSparseDecode.accepts(planned(changes));
    expect(takes({})).toBe(true);
    expect(takes({ numHeadsQ: 33, hasAttnSink: true, main: cacheOf(61) })).toBe(true);
    expect(takes({ numHeadsQ: 32 })).toBe(false);
    expect(takes({ headDimV: 256 })).toBe(false);
    expect(takes({ main: { ...cacheOf(64), kCache: { strides: [0, 656], alignment: 8 } } })).toBe(
      false,
    );
    // Rows beyond 64 GiB have no number of 32 bits.
    expect(takes({ main: { ...cacheOf(64), numBlocks: 1_700_000 } })).toBe(false);
    const { main } = hopperSparseDecode.plan(planned(), limits).launches;
    expect(main).toMatchObject({ grid: [2, 2, 33], kernel: { name: 'sm90_sparse_decode' } });
  });

  const shapes = [64, 61].flatMap((page) => [false, true].map((sink) => ({ page, sink })));
  itAssembles(
    shapes.map(({ page, sink }) => ({
      name: `page ${page}, sink ${sink}`,
      launch: (target) =>
        target === 'sm_90a'
          ? hopperSparseDecode.plan(planned({ main: cacheOf(page), hasAttnSink: sink }), limits)
              .launches.main
          : undefined,
    })),
  );
});

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
    ...{ hQ: 71, sQ: 2, lengths: [50, 250, 128], numParts: 2, sink: 'infinite' },
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

/** Changes the scales of the tokens that `pick` names by their place in the cache, and all queries. */
function rescaled(
  problem: SparseDecode,
  queryFactor: number,
  scaleOf: (token: number, tile: number, scale: number) => number,
): SparseDecode {
  const { q, kCache } = problem;
  const bytes = Uint8Array.from(kCache.data as Uint8Array);
  const view = new DataView(bytes.buffer);
  for (let token = 0; token * 656 < bytes.length; token++) {
    for (let tile = 0; tile < 4; tile++) {
      const at = token * 656 + 512 + 4 * tile;
      view.setFloat32(at, scaleOf(token, tile, view.getFloat32(at, true)), true);
    }
  }
  const codes = (q.data as Uint16Array).map((code) => encodeBf16(decodeBf16(code) * queryFactor));
  return {
    ...problem,
    q: { ...q, data: codes } as SparseDecode['q'],
    kCache: { ...kCache, data: bytes } as SparseDecode['kCache'],
  };
}

/** Problems that f16 cannot hold: two requests in one part, the first and the last with odd blocks. */
const outliers: readonly {
  readonly name: string;
  readonly queryFactor?: number;
  readonly outFactor?: number;
  scaleOf(token: number, tile: number, scale: number): number;
}[] = [
  {
    name: 'large scales',
    queryFactor: 2 ** -24,
    outFactor: 2 ** -24,
    scaleOf: (_t, _i, s) => s * 2 ** 24,
  },
  {
    name: 'small scales, large queries',
    queryFactor: 2 ** 30,
    scaleOf: (_t, _i, s) => s * 2 ** -30,
  },
  { name: 'queries beyond f16', queryFactor: 2 ** 20, scaleOf: (_t, _i, s) => s * 2 ** -3 },
  { name: 'one large scale of many', scaleOf: (t, i, s) => (t === 77 && i === 2 ? 256 : s) },
  { name: 'scales of a row far apart', scaleOf: (t, i, s) => (t % 3 ? s : s * 2 ** (-15 * i)) },
  { name: 'a negative scale', scaleOf: (t, i, s) => (t % 5 === 0 && i === 1 ? -s : s) },
  { name: 'scales of 0', scaleOf: (t, i, s) => (t % 4 === i ? 0 : s) },
];

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

  it.each(outliers)('is right where f16 is not wide enough: $name', (outlier) => {
    const lengths = [100, 60, 180];
    const walk = { name: 'outliers', hQ: 40, lengths, topk: 192, numParts: 1, results: [] };
    const { queryFactor = 1, outFactor, scaleOf } = outlier;
    const problem = rescaled(problemOf(walk), queryFactor, scaleOf);
    const blocks = blocksOfTopk({ batch: 3, topk: 192, topkLength: lengths }, 64);
    const plan = { numParts: 1, blockTokens: 64, overheadBlocks: 0, splitBlocks: 0 };
    const answer = decode(hopperSparseDecode, limits, problem, blocks, plan);
    expectRight(problem, answer, outFactor);
  });
});
