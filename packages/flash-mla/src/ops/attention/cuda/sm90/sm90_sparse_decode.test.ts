import { decodeBf16, encodeBf16 } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { generateProblem } from '../../../cases.ts';
import { itAssembles } from '../../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import { blocksOfTopk } from '../../../reference.ts';
import type { SparseParams } from '../../conformance/params.ts';
import type { SparseDecode } from '../../conformance/problems.ts';
import type { SparseCacheProblem, SparseDecodeProblem } from '../problems.ts';
import { decode, expectRight, resultsOf } from '../testing/sparse-walks.ts';
import { hopperSparseDecode, runs } from './sm90_sparse_decode_launch.ts';
import { consumerRegisters, producerRegisters } from './sparse/tile.ts';

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
    const twoCaches = planned({ extra: cacheOf(2) });
    expect([runs(twoCaches), hopperSparseDecode.accepts(twoCaches)]).toEqual([true, false]);
    const rows = planned({ layout: 'bf16', main: cacheOf(61, 576) });
    expect([runs(rows), hopperSparseDecode.accepts(rows)]).toEqual([true, false]);
    const model1 = { layout: 'model1', headDimQk: 512 } as const;
    const packed = planned({ ...model1, main: cacheOf(2, 584), extra: cacheOf(64, 584) });
    expect([runs(packed), hopperSparseDecode.accepts(packed)]).toEqual([true, false]);
    // Rows beyond 32 GiB have no number of 31 bits.
    expect(takes({ main: { ...cacheOf(64), numBlocks: 900_000 } })).toBe(false);
    const { main } = hopperSparseDecode.plan(planned(), limits).launches;
    expect(main).toMatchObject({ grid: [2, 2, 33], kernel: { name: 'sm90_sparse_decode' } });
  });

  it('gives out no more registers than the three warp groups start with', () => {
    const atStart = 8 * Math.floor(65536 / 384 / 8);
    expect(producerRegisters + 2 * consumerRegisters).toBeLessThanOrEqual(3 * atStart);
  });

  // What it accepts: with a second cache the producer spills.
  const shapes = [
    { page: 62, hasAttnSink: false },
    { page: 256, hasAttnSink: true },
  ];
  itAssembles(
    shapes.map(({ page, hasAttnSink }) => ({
      name: `pages ${page}, sink ${hasAttnSink}`,
      launch: (target: string) => {
        if (target !== 'sm_90a') return undefined;
        const shape = { main: cacheOf(page), hasAttnSink };
        return hopperSparseDecode.plan(planned(shape), limits).launches.main;
      },
    })),
  );
});

interface Walk extends Pick<SparseParams, 'hQ' | 'sink' | 'invalid' | 'extra'> {
  readonly name: string;
  /** Default v32. */
  readonly layout?: 'v32' | 'model1' | 'bf16';
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
  {
    name: 'a second cache whose pages are no power of two, splits across both',
    ...{ hQ: 40, lengths: [70, 0, 150], extra: { sK: 300, topk: 150, page: 61 } },
    ...{ numParts: 3, results: ['whole', 'whole split', 'split'] },
  },
  {
    name: 'model1, two row tiles, indices of every kind',
    ...{ layout: 'model1', hQ: 71, lengths: [50, 250, 128], invalid: 'rows' },
    ...{ numParts: 2, results: ['whole split', 'split whole'] },
  },
  {
    name: 'model1, a second cache of pages of 2, splits of three blocks',
    ...{ layout: 'model1', hQ: 64, sink: 'finite', extra: { sK: 300, topk: 130, page: 2 } },
    ...{ lengths: [130, 0], numParts: 1, splitBlocks: 3, results: ['split split split split'] },
  },
  {
    name: 'bf16, odd and even numbers of blocks, ends inside a block, nothing at all',
    ...{ layout: 'bf16', hQ: 37, lengths: [50, 250, 0, 128, 130, 1], page: 48 },
    ...{ numParts: 1, results: ['whole whole whole whole whole whole'] },
  },
  {
    name: 'bf16, two row tiles, two queries, splits, indices of every kind',
    ...{ layout: 'bf16', hQ: 71, sQ: 2, lengths: [50, 250, 128], invalid: 'rows', sink: 'finite' },
    ...{ numParts: 2, results: ['whole split', 'split whole'] },
  },
  {
    name: 'bf16, a second cache whose pages are no power of two, splits across both',
    ...{ layout: 'bf16', hQ: 40, lengths: [70, 0, 150] },
    ...{ extra: { sK: 300, topk: 150, page: 61 } },
    ...{ numParts: 3, results: ['whole', 'whole split', 'split'] },
  },
];

function problemOf(walk: Walk) {
  const { name, layout = 'v32', lengths, topk = 256, page = 64, sQ = 1 } = walk;
  const { hQ, sink, invalid, extra } = walk;
  const b = lengths.length;
  const cache = { sK: 300, topk, page };
  const params = { op: 'sparse-decode', layout, b, sQ, hQ, cache, extra, sink, invalid } as const;
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

/** Problems that f16 cannot hold, over two requests in one part. */
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
  {
    name: 'queries of few steps of f16',
    queryFactor: 2 ** -20,
    outFactor: 2 ** -10,
    scaleOf: (_t, _i, s) => s * 2 ** 10,
  },
  { name: 'few large scales of many', scaleOf: (t, i, s) => (t % 32 === 7 && i === 2 ? 256 : s) },
  { name: 'scales of a row far apart', scaleOf: (t, i, s) => (t % 3 ? s : s * 2 ** (-15 * i)) },
  { name: 'a negative scale', scaleOf: (t, i, s) => (t % 5 === 0 && i === 1 ? -s : s) },
  { name: 'scales of 0', scaleOf: (t, i, s) => (t % 4 === i ? 0 : s) },
];

// Parts walk several pieces: odd and even numbers of blocks, single ones, and ends inside a block.
describe('sparse decode on warp groups in the simulator', () => {
  it.each(walks)('$name', (walk) => {
    const { lengths, topk = 256, extra, numParts, splitBlocks = 0, results } = walk;
    const { topk: extraTopk = 0 } = extra ?? {};
    const problem = problemOf(walk);
    const shape = { batch: lengths.length, topk, topkLength: [...lengths], extraTopk };
    const blocks = blocksOfTopk(shape, 64);
    const plan = { numParts, blockTokens: 64, overheadBlocks: 0, splitBlocks };
    expect(resultsOf(blocks, plan)).toEqual(results);
    expectRight(
      problem,
      decode({ ...hopperSparseDecode, accepts: runs }, limits, problem, blocks, plan),
    );
  });

  it.each([
    { name: 'a large scale', at: 2, exponent: 20 },
    { name: 'small scales', at: 0, exponent: -30 },
    { name: 'a large rope value', at: -1, exponent: 17 },
  ])('is right where f16 is not wide enough for model1: $name', ({ at, exponent }) => {
    const lengths = [70, 60];
    const name = 'outliers of model1';
    const walk = { name, layout: 'model1', hQ: 40, lengths, topk: 128, numParts: 1 } as const;
    const problem = problemOf({ ...walk, results: [] });
    const bytes = Uint8Array.from(problem.kCache.data as Uint8Array);
    const [numBlocks = 0, page = 0] = problem.kCache.shape;
    for (let token = 0; token < numBlocks * page; token += 3) {
      const block = Math.floor(token / page) * page * 584;
      const offset = token % page;
      const scale = block + page * 576 + offset * 8 + at;
      const rope = block + offset * 576 + 448 + 2 * 5;
      if (at >= 0) bytes[scale] = exponent + 127;
      else new DataView(bytes.buffer).setUint16(rope, encodeBf16(2 ** exponent), true);
    }
    const kCache = { ...problem.kCache, data: bytes } as SparseDecode['kCache'];
    const changed = { ...problem, kCache };
    const blocks = blocksOfTopk({ batch: 2, topk: 128, topkLength: lengths }, 64);
    const plan = { numParts: 1, blockTokens: 64, overheadBlocks: 0, splitBlocks: 0 };
    const answer = decode({ ...hopperSparseDecode, accepts: runs }, limits, changed, blocks, plan);
    expectRight(changed, answer, exponent > 0 ? 2 ** -exponent : 1);
  });

  it.each(outliers)('is right where f16 is not wide enough: $name', (outlier) => {
    const lengths = [60, 70];
    const walk = { name: 'outliers', hQ: 40, lengths, topk: 128, numParts: 1, results: [] };
    const { queryFactor = 1, outFactor, scaleOf } = outlier;
    const problem = rescaled(problemOf(walk), queryFactor, scaleOf);
    const blocks = blocksOfTopk({ batch: 2, topk: 128, topkLength: lengths }, 64);
    const plan = { numParts: 1, blockTokens: 64, overheadBlocks: 0, splitBlocks: 0 };
    const answer = decode({ ...hopperSparseDecode, accepts: runs }, limits, problem, blocks, plan);
    expectRight(problem, answer, outFactor);
  });
});
