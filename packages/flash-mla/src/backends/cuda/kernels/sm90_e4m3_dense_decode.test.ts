import { describe, expect, it } from 'vitest';
import { compare } from '../../../cases/compare.ts';
import { keyDeviation, queryDeviation } from '../../../cases/conformance/generate/logits.ts';
import { normalTensor, pagedCache, planPages } from '../../../cases/conformance/generate/paged.ts';
import type { DenseParams } from '../../../cases/conformance/params.ts';
import { Random } from '../../../cases/conformance/random.ts';
import type { DenseDecode } from '../../../cases/problem.ts';
import { referenceAnswers } from '../../../cases/reference-answers.ts';
import { toleranceOf } from '../../../cases/tolerance.ts';
import { poison } from '../../../cases/upload.ts';
import {
  blocksOfLengths,
  computeTileSchedule,
  type HostTensor,
  hostTensorFromBytes,
} from '../../../reference/index.ts';
import type { DType } from '../../../tensor/dtype.ts';
import type { DenseDecodeArgs } from '../../backend.ts';
import { denseDecodeProblem } from '../operations/problems.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import { e4m3DenseDecode } from './sm90_e4m3_dense_decode_launch.ts';
import { itAssembles } from './testing/assembly.ts';
import { limitsFor, SimContext } from './testing/sim-context.ts';

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

/** A batch, and what the schedule makes of it. */
interface Walk extends Pick<DenseParams, 'hQ' | 'causal' | 'page' | 'sharpness'> {
  readonly name: string;
  /** Default 1 each. */
  readonly sQ?: number;
  readonly hKv?: number;
  readonly lengths: readonly number[];
  readonly numParts: number;
  readonly splitBlocks?: number;
  /** Splits of each request. */
  readonly splits: readonly number[];
  readonly descales?: { readonly q?: number; readonly k?: number };
  readonly out?: 'bf16' | 'f16';
}

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

/** The data of a batch: random pages, NaN behind the end of every request. */
function dataOf(walk: Walk): DenseDecode {
  const { name, sQ = 1, hQ, hKv = 1, causal, page = 64, sharpness, descales = {} } = walk;
  const { q: descaleQ, k: descaleK } = descales;
  const random = new Random(name);
  const lengths = Int32Array.from(walk.lengths);
  const pages = planPages(lengths, page, page * hKv * 576, random.stream('pages'));
  const cache = { dtype: 'e4m3', page, heads: hKv, d: 576 } as const;
  const deviation = queryDeviation(sharpness, 576, 1 / 24) / (descaleQ ?? 1);
  return {
    op: 'dense-decode',
    q: normalTensor('e4m3', [lengths.length, sQ, hQ, 576], deviation, random.stream('q')),
    kCache: pagedCache(pages, cache, keyDeviation / (descaleK ?? 1), random.stream('k')),
    blockTable: pages.blockTable,
    cacheSeqlens: { dtype: 'i32', shape: [lengths.length], data: lengths },
    headDimV: 512,
    causal,
    descaleQ,
    descaleK,
  };
}

/** Decodes a batch in the simulator, where whatever the kernel must write is NaN before. */
function decode(data: DenseDecode, walk: Pick<Walk, 'numParts' | 'splitBlocks' | 'out'>) {
  const context = new SimContext(limits);
  context.workspace = (bytes) => Number(context.memory.allocFrom(new Uint8Array(bytes).fill(0xff)));
  const put = ({ dtype, shape, data }: HostTensor) => context.tensor(dtype, shape, data);
  const ints = (values: Int32Array, shape = [values.length]) =>
    context.tensor('i32', shape, values);
  const factor = (x: number) => context.tensor('f32', [1], Float32Array.of(x));
  const [b, sQ, hQ] = data.q.shape as [number, number, number];
  const { numParts, splitBlocks = 0, out = 'bf16' } = walk;
  const plan = { numParts, blockTokens: 64, overheadBlocks: 0, splitBlocks };
  const schedule = computeTileSchedule(blocksOfLengths(data.cacheSeqlens.data, 64), plan);
  const poisoned = (dtype: 'bf16' | 'f16' | 'f32', shape: readonly number[]) => {
    const count = shape.reduce((product, n) => product * n, 1);
    return context.tensor(dtype, shape, poison(dtype, count));
  };
  const args: DenseDecodeArgs = {
    q: put(data.q),
    kCache: put(data.kCache),
    blockTable: put(data.blockTable),
    seqlens: put(data.cacheSeqlens),
    headDimV: data.headDimV,
    softmaxScale: 1 / Math.sqrt(576),
    causal: data.causal ?? false,
    ...(data.descaleQ !== undefined && { descaleQ: factor(data.descaleQ) }),
    ...(data.descaleK !== undefined && { descaleK: factor(data.descaleK) }),
    schedule: {
      metadata: ints(schedule.metadata, [numParts, 8]),
      numSplits: ints(schedule.numSplits),
      plan,
    },
    out: poisoned(out, [b, sQ, hQ, 512]),
    lse: poisoned('f32', [b, hQ, sQ]),
  };
  const bound = denseDecodeProblem(args);
  expect(e4m3DenseDecode.accepts?.(bound, limits)).toBe(true);
  e4m3DenseDecode.bind(context, e4m3DenseDecode.plan(bound, limits), bound)(args);
  const read = (view: typeof args.out) =>
    hostTensorFromBytes(view.dtype, view.shape, context.read(view));
  return { out: read(args.out), lse: read(args.lse), numSplits: [...schedule.numSplits] };
}

function expectRight({ splits }: Walk, data: DenseDecode, answer: ReturnType<typeof decode>): void {
  const { numSplits } = answer;
  expect(splits.map((_, i) => numSplits[i + 1] - numSplits[i])).toEqual(splits);
  const expected = referenceAnswers(data);
  for (const name of ['out', 'lse'] as const) {
    const tolerance = toleranceOf('dense-decode', name, answer[name].dtype);
    const wanted = expected[name] ?? { values: new Float64Array() };
    const comparison = compare(name, 'reference', answer[name], wanted, tolerance);
    expect(comparison).toMatchObject({ pass: true, failed: 0, firstBad: null });
  }
}

// Parts walk several pieces: odd and even numbers of blocks, single ones, and ends inside a block.
describe('dense decode of e4m3 in the simulator', () => {
  it.each(walks)('$name', (walk) => {
    const data = dataOf(walk);
    expectRight(walk, data, decode(data, walk));
  });

  it('gives a request the same bits in every batch, if splits do not depend on it', () => {
    const walk = {
      name: 'deterministic',
      ...{ hQ: 16, lengths: [390, 0, 64, 450], numParts: 3, splitBlocks: 3, splits: [3, 1, 1, 3] },
    };
    const data = dataOf(walk);
    const together = decode(data, walk);
    expectRight(walk, data, together);
    walk.lengths.forEach((length, i) => {
      const of = <D extends DType>({ dtype, shape, data }: HostTensor<D>) => {
        const [, ...rest] = shape;
        const size = data.length / walk.lengths.length;
        return { dtype, shape: [1, ...rest], data: data.slice(i * size, (i + 1) * size) };
      };
      const { q, blockTable, cacheSeqlens } = data;
      expect(cacheSeqlens.data[i]).toBe(length);
      const own = { q: of(q), blockTable: of(blockTable), cacheSeqlens: of(cacheSeqlens) };
      const alone = decode({ ...data, ...own } as DenseDecode, { ...walk, numParts: 1 });
      expect(alone).toMatchObject({ out: of(together.out), lse: of(together.lse) });
    });
  });
});
