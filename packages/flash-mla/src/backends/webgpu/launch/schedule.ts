import { mostScheduledTokens } from '../../../scheduling/tile-scheduler.ts';
import type { ComputeScheduleArgs, SchedulePlan, ScheduleProblem } from '../../backend.ts';
import { attentionShape } from '../attention/config.ts';
import { plainRows, sparseRows } from '../attention/row-format.ts';
import { selectAttention } from '../attention/select.ts';
import { type ScheduleConfig, scheduleKernel, scheduleName } from '../kernels/schedule.ts';
import type { Capabilities } from '../runtime/limits.ts';
import type { LaunchTarget } from '../runtime/runtime.ts';
import { bindWhole, rangeOf } from '../runtime/views.ts';

/** Tokens of a split that does not depend on the rest of the batch. */
const deterministicTokens = 2048;

/** How a decode problem is cut. Pure. */
export function planSchedule(problem: ScheduleProblem, capabilities: Capabilities): SchedulePlan {
  const { kind, batch, seqLenQ, numHeadsQ, numHeadsKv, headDimQk, isFp8, deterministic } = problem;
  const dense = kind === 'dense';
  const sparseLayout = !isFp8 ? 'bf16' : headDimQk === 576 ? 'v32' : 'model1';
  const numRows = dense ? (seqLenQ * numHeadsQ) / numHeadsKv : numHeadsQ;
  const config = selectAttention(
    {
      work: dense ? 'dense-decode' : 'sparse-decode',
      numRows,
      headDimQk,
      headDimV: problem.headDimV,
      query: dense && isFp8 ? 'e4m3' : 'bf16',
      keys: dense
        ? plainRows(isFp8 ? 'e4m3' : 'bf16', headDimQk)
        : sparseRows(sparseLayout, headDimQk),
      keyAlignment: 16,
      keyBindings: 1,
      causal: false,
      lists: [],
    },
    capabilities,
  );
  const blockTokens = attentionShape(config).tileTokens;
  const tiles = Math.ceil(numRows / config.rows) * (dense ? numHeadsKv : seqLenQ);
  const blocks = dense
    ? Math.ceil((problem.maxSeqLenK ?? Number.POSITIVE_INFINITY) / blockTokens)
    : Math.ceil((problem.topk ?? 0) / blockTokens) +
      Math.ceil((problem.extraTopk ?? 0) / blockTokens);
  const parts = Math.ceil(capabilities.tuning.workgroups / tiles);
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
