import type { DType } from '@flash-mla/core';
import { expect } from 'vitest';
import type { LaunchPlan } from '../../../../runtime/cuda/kernel.ts';
import { compare } from '../../../conformance/compare.ts';
import { referenceAnswers, toleranceOf } from '../../../conformance/kinds.ts';
import { Random } from '../../../conformance/suite/random.ts';
import { poison } from '../../../conformance/upload.ts';
import type { HeadDims } from '../../../kernel-lib/cuda/sm90/geometry.ts';
import { limitsFor, SimContext } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import {
  blocksOfLengths,
  computeTileSchedule,
  type HostTensor,
  hostTensorFromBytes,
} from '../../../reference.ts';
import { keyDeviation, queryDeviation } from '../../conformance/generate/logits.ts';
import { normalTensor, pagedCache, planPages } from '../../conformance/generate/paged.ts';
import type { DenseParams } from '../../conformance/params.ts';
import type { DenseDecode } from '../../conformance/problems.ts';
import type { DenseDecodeArgs } from '../../contract.ts';
import type { DenseKernel } from '../decode_launch.ts';
import { denseDecodeProblem } from '../problem-of.ts';

const limits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };

type Operation = Pick<DenseKernel<LaunchPlan>, 'problemOf' | 'accepts' | 'plan'> & {
  // Of a plan of its own.
  bind(...args: never): ReturnType<DenseKernel<LaunchPlan>['bind']>;
};
type Stored = 'bf16' | 'f16' | 'e4m3';

/** A batch, and what the schedule makes of it. */
export interface Walk extends Pick<DenseParams, 'hQ' | 'causal' | 'page' | 'sharpness'> {
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
  /** Default DeepSeek's: 576 and 512. */
  readonly headDims?: HeadDims;
}

/** The data of a batch: random pages, NaN behind the end of every request. */
export function dataOf(dtype: Stored, walk: Walk): DenseDecode {
  const { name, sQ = 1, hQ, hKv = 1, causal, page = 64, sharpness, descales = {} } = walk;
  const { headDimQk: d, headDimV } = walk.headDims ?? { headDimQk: 576, headDimV: 512 };
  const { q: descaleQ, k: descaleK } = descales;
  const random = new Random(name);
  const lengths = Int32Array.from(walk.lengths);
  const pages = planPages(lengths, page, page * hKv * d, random.stream('pages'));
  const cache = { dtype, page, heads: hKv, d } as const;
  const deviation = queryDeviation(sharpness, d, 1 / Math.sqrt(d)) / (descaleQ ?? 1);
  return {
    op: 'dense-decode',
    q: normalTensor(dtype, [lengths.length, sQ, hQ, d], deviation, random.stream('q')),
    kCache: pagedCache(pages, cache, keyDeviation / (descaleK ?? 1), random.stream('k')),
    blockTable: pages.blockTable,
    cacheSeqlens: { dtype: 'i32', shape: [lengths.length], data: lengths },
    headDimV,
    causal,
    descaleQ,
    descaleK,
  };
}

/** Decodes a batch in the simulator, where whatever the kernel must write is NaN before. */
export function decode(
  operation: Operation,
  data: DenseDecode,
  walk: Pick<Walk, 'numParts' | 'splitBlocks' | 'out'>,
) {
  const context = new SimContext(limits);
  context.workspace = (bytes) => Number(context.memory.allocFrom(new Uint8Array(bytes).fill(0xff)));
  const put = ({ dtype, shape, data }: HostTensor) => context.tensor(dtype, shape, data);
  const ints = (values: Int32Array, shape = [values.length]) =>
    context.tensor('i32', shape, values);
  const factor = (x: number) => context.tensor('f32', [1], Float32Array.of(x));
  const [b, sQ, hQ, d] = data.q.shape as [number, number, number, number];
  const { numParts, splitBlocks = 0 } = walk;
  const out = walk.out ?? (data.q.dtype === 'f16' ? 'f16' : 'bf16');
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
    softmaxScale: 1 / Math.sqrt(d),
    causal: data.causal ?? false,
    ...(data.descaleQ !== undefined && { descaleQ: factor(data.descaleQ) }),
    ...(data.descaleK !== undefined && { descaleK: factor(data.descaleK) }),
    schedule: {
      metadata: ints(schedule.metadata, [numParts, 8]),
      numSplits: ints(schedule.numSplits),
      plan,
    },
    out: poisoned(out, [b, sQ, hQ, data.headDimV]),
    lse: poisoned('f32', [b, hQ, sQ]),
  };
  expect(operation.accepts?.(denseDecodeProblem(args), limits)).toBe(true);
  context.run(operation as DenseKernel<LaunchPlan>, args);
  const read = (view: typeof args.out) =>
    hostTensorFromBytes(view.dtype, view.shape, context.read(view));
  return { out: read(args.out), lse: read(args.lse), numSplits: [...schedule.numSplits] };
}

export function expectRight(
  { splits }: Walk,
  data: DenseDecode,
  answer: ReturnType<typeof decode>,
): void {
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

/** Decodes a batch, whose splits do not depend on it, together and each request alone: bits are the same. */
export function expectSameAlone(operation: Operation, dtype: Stored, walk: Walk): void {
  const data = dataOf(dtype, walk);
  const together = decode(operation, data, walk);
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
    const alone = decode(operation, { ...data, ...own } as DenseDecode, { ...walk, numParts: 1 });
    expect(alone).toMatchObject({ out: of(together.out), lse: of(together.lse) });
  });
}
