import { packedRows } from '../../../../runtime/tensor/packed-rows.ts';
import type { Capabilities } from '../../../../runtime/webgpu/runtime/limits.ts';
import type { LaunchTarget } from '../../../../runtime/webgpu/runtime/runtime.ts';
import { bindWhole, rangeOf } from '../../../../runtime/webgpu/runtime/views.ts';
import { type PartDType, plainRows, sparseRows } from '../../../kernel-lib/webgpu/row-format.ts';
import { mostScheduledTokens } from '../../schedule/tile-scheduler.ts';
import type {
  ComputeScheduleArgs,
  DecodeShape,
  SchedulePlan,
  ScheduleProblem,
} from '../../schedule-contract.ts';
import { type AttentionConfig, attentionShape } from '../config.ts';
import { type ScheduleConfig, scheduleKernel, scheduleName } from '../kernels/schedule.ts';
import { selectAttention } from '../select.ts';

/** Tokens of a split that does not depend on the rest of the batch. */
const deterministicTokens = 2048;

/** How dense decoding is cut. Pure. */
export function planDenseSchedule(
  { problem, dense }: DecodeShape,
  capabilities: Capabilities,
): SchedulePlan {
  const { seqLenQ, numHeadsQ, numHeadsKv, headDimQk, headDimV, isFp8, maxSeqLenK } = problem;
  const dtype = (dense?.q.dtype as PartDType | undefined) ?? (isFp8 ? 'e4m3' : 'bf16');
  const numRows = (seqLenQ * numHeadsQ) / numHeadsKv;
  const config = selectAttention(
    {
      work: 'dense-decode',
      numRows,
      headDimQk,
      headDimV,
      query: dtype,
      keys: plainRows(dtype, headDimQk),
      keyAlignment: 16,
      keyBindings: 1,
      causal: false,
      lists: [],
    },
    capabilities,
  );
  const tiles = Math.ceil(numRows / config.rows) * numHeadsKv;
  return planParts(problem, config, tiles, [maxSeqLenK ?? Number.POSITIVE_INFINITY], capabilities);
}

/** How sparse decoding is cut. Pure. */
export function planSparseSchedule(
  { problem, sparse }: DecodeShape,
  capabilities: Capabilities,
): SchedulePlan {
  const { seqLenQ, numHeadsQ, headDimQk, headDimV, isFp8, topk = 0, extraTopk = 0 } = problem;
  const packed = headDimQk === packedRows.v32.headDimQk ? 'v32' : 'model1';
  const layout = sparse?.layout ?? (isFp8 ? packed : 'bf16');
  const config = selectAttention(
    {
      work: 'sparse-decode',
      numRows: numHeadsQ,
      headDimQk,
      headDimV,
      query: 'bf16',
      keys: sparseRows(layout, headDimQk),
      keyAlignment: 16,
      keyBindings: 1,
      causal: false,
      lists: [],
    },
    capabilities,
  );
  const tiles = Math.ceil(numHeadsQ / config.rows) * seqLenQ;
  return planParts(problem, config, tiles, [topk, extraTopk], capabilities);
}

/** As many parts as keep the device busy, but no more than there are blocks of `widths` tokens. */
function planParts(
  { batch, deterministic }: ScheduleProblem,
  config: AttentionConfig,
  tiles: number,
  widths: readonly number[],
  { tuning }: Capabilities,
): SchedulePlan {
  const blockTokens = attentionShape(config).tileTokens;
  const blocks = widths.reduce((sum, tokens) => sum + Math.ceil(tokens / blockTokens), 0);
  const parts = Math.ceil(tuning.workgroups / tiles);
  return {
    numParts: Math.max(1, Math.min(parts, batch * Math.max(1, blocks))),
    blockTokens,
    // Staging the queries and writing the output cost about as much as a tile.
    overheadBlocks: 1,
    splitBlocks: deterministic ? deterministicTokens / blockTokens : 0,
  };
}

/** Enqueues the tile scheduler. */
export function computeSchedule(runtime: LaunchTarget, args: ComputeScheduleArgs): void {
  const { problem, plan, metadata, numSplits } = args;
  const { capabilities } = runtime;
  const dense = problem.kind === 'dense';
  const most = (tokens: number | undefined) =>
    Math.min(mostTokens, mostScheduledTokens(plan, problem.batch, tokens));
  const lengths = {
    ...(dense && args.seqlens && { seqlens: args.seqlens }),
    ...(!dense && args.topkLength && { topkLength: args.topkLength }),
    ...(!dense && args.extraTopkLength && { extraTopkLength: args.extraTopkLength }),
  };
  const config: ScheduleConfig = { lengths: Object.keys(lengths) as ScheduleConfig['lengths'] };
  const tensors = { ...lengths, metadata, numSplits };
  const bound = Object.entries(tensors).map(
    ([name, view]) => [name, bindWhole(name, rangeOf(view), capabilities)] as const,
  );
  runtime.dispatch({
    name: scheduleName(config),
    source: () => scheduleKernel(config),
    config,
    params: {
      batch: problem.batch,
      numParts: plan.numParts,
      blockTokens: plan.blockTokens,
      overheadBlocks: plan.overheadBlocks,
      splitBlocks: plan.splitBlocks,
      topk: most(dense ? problem.maxSeqLenK : (problem.topk ?? 0)),
      extraTopk: most(problem.extraTopk ?? 0),
      ...Object.fromEntries(bound.map(([name, { firstByte }]) => [name, firstByte / 4])),
    },
    storage: Object.fromEntries(bound.map(([name, { resource }]) => [name, resource])),
    workgroups: [1, 1, 1],
  });
}

/** Leaves room to round up to whole blocks. */
const mostTokens = 2 ** 31 - 1 - 4096;
