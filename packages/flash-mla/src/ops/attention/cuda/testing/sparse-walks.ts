import { decodeBf16, encodeBf16 } from '@flash-mla/core';
import { expect } from 'vitest';
import type { CudaKernel, LaunchPlan } from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import { compare } from '../../../conformance/compare.ts';
import { referenceAnswers, toleranceOf } from '../../../conformance/kinds.ts';
import { poison } from '../../../conformance/upload.ts';
import { SimContext } from '../../../kernel-lib/cuda/testing/sim-context.ts';
import {
  computeTileSchedule,
  type HostTensor,
  hostTensorFromBytes,
  type SparseCacheProblem as SparseCacheHost,
} from '../../../reference.ts';
import type { SparseDecode } from '../../conformance/problems.ts';
import type { SparseCache, SparseDecodeArgs } from '../../contract.ts';
import type { DecodeShape, SchedulePlan } from '../../schedule-contract.ts';
import type { DecodePlan } from '../decode_launch.ts';
import { sparseDecodeProblem } from '../problem-of.ts';
import type { SparseDecodeProblem } from '../problems.ts';

/** A kernel of sparse decoding. */
type SparseKernel = CudaKernel<
  SparseDecodeArgs,
  SparseDecodeProblem,
  DecodePlan<LaunchPlan>,
  DecodeShape,
  SchedulePlan
>;
type Operation = Pick<SparseKernel, 'problemOf' | 'accepts' | 'plan'> & {
  // Of a plan of its own.
  bind(...args: never): ReturnType<SparseKernel['bind']>;
};

/** The results of each part, following the schedule as the kernel does. */
export function resultsOf(blocks: Int32Array, plan: SchedulePlan): string[] {
  const { metadata, numSplits } = computeTileSchedule(blocks, plan);
  return Array.from({ length: plan.numParts }, (_, part) => {
    const [begin, end, from, to] = metadata.subarray(8 * part);
    const results: string[] = [];
    for (let request = begin; request <= end; request++) {
      const first = request === begin ? from : 0;
      const count = (request === end ? to : blocks[request]) - first;
      const pieces = plan.splitBlocks > 0 ? Math.ceil(count / plan.splitBlocks) : 1;
      const isSplit = numSplits[request + 1] - numSplits[request] > 1;
      results.push(...new Array<string>(pieces).fill(isSplit ? 'split' : 'whole'));
    }
    return results.join(' ');
  });
}

/** Runs a problem by a schedule in the simulator, where whatever the kernel must write is NaN before. */
export function decode(
  operation: Operation,
  limits: DeviceLimits,
  problem: SparseDecode,
  blocks: Int32Array,
  plan: SchedulePlan,
) {
  const context = new SimContext(limits);
  context.workspace = (bytes) => Number(context.memory.allocFrom(new Uint8Array(bytes).fill(0xff)));
  const put = ({ dtype, shape, data }: HostTensor) => context.tensor(dtype, shape, data);
  const ints = (data: Int32Array, shape = [data.length]) => context.tensor('i32', shape, data);
  const putCache = (cache: SparseCacheHost): SparseCache => ({
    kCache: put(cache.kCache),
    indices: put(cache.indices),
    ...(cache.topkLength && { topkLength: put(cache.topkLength) }),
  });
  const [b, sQ, hQ] = problem.q.shape;
  const { headDimV, layout, extra, attnSink, softmaxScale = 1 } = problem;
  const { metadata, numSplits } = computeTileSchedule(blocks, plan);
  const poisoned = (dtype: 'bf16' | 'f32', shape: readonly number[]) => {
    const count = shape.reduce((product, n) => product * n, 1);
    return context.tensor(dtype, shape, poison(dtype, count));
  };
  const args: SparseDecodeArgs = {
    q: put(problem.q),
    layout,
    main: putCache(problem),
    ...(extra && { extra: putCache(extra) }),
    ...(attnSink && { attnSink: put(attnSink) }),
    headDimV,
    softmaxScale,
    schedule: {
      metadata: ints(metadata, [plan.numParts, 8]),
      numSplits: ints(numSplits),
      plan,
    },
    out: poisoned('bf16', [b, sQ, hQ, headDimV]),
    lse: poisoned('f32', [b, hQ, sQ]),
  };
  expect(operation.accepts?.(sparseDecodeProblem(args), limits) ?? true).toBe(true);
  context.run(operation as SparseKernel, args);
  const read = ({ dtype, shape }: typeof args.out, bytes: Uint8Array) =>
    hostTensorFromBytes(dtype, shape, bytes);
  return {
    out: read(args.out, context.read(args.out)),
    lse: read(args.lse, context.read(args.lse)),
  };
}

/** Holds what {@link decode} gave to the reference; `outFactor`, a power of two, makes outputs of usual size. */
export function expectRight(
  problem: SparseDecode,
  answer: ReturnType<typeof decode>,
  outFactor = 1,
): void {
  const expected = referenceAnswers(problem);
  for (const name of ['out', 'lse'] as const) {
    const tolerance = toleranceOf('sparse-decode', name, answer[name].dtype);
    const { values } = expected[name] ?? { values: new Float64Array() };
    const isScaled = name === 'out' && outFactor !== 1;
    const given = isScaled ? scaled(answer.out, outFactor) : answer[name];
    const wanted = { values: isScaled ? values.map((x) => x * outFactor) : values };
    const comparison = compare(name, 'reference', given, wanted, tolerance);
    expect(comparison).toMatchObject({ pass: true, failed: 0, firstBad: null });
  }
}

function scaled(tensor: HostTensor, factor: number): HostTensor {
  const codes = tensor.data as Uint16Array;
  const data = codes.map((code) => encodeBf16(decodeBf16(code) * factor));
  return { ...tensor, data } as HostTensor;
}
