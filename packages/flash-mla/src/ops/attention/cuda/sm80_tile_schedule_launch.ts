import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import { computeSchedule } from '../operations.ts';
import { mostScheduledTokens } from '../schedule/tile-scheduler.ts';
import type { ComputeScheduleArgs } from '../schedule-contract.ts';
import { computeScheduleProblem } from './problem-of.ts';
import type { ComputeScheduleProblem } from './problems.ts';
import { mostThreads } from './schedule/common.ts';
import {
  buildTileSchedule,
  type TileScheduleConfig,
  type TileScheduleParams,
} from './sm80_tile_schedule.ts';

export const tileScheduleSpec: KernelSpec<TileScheduleConfig, TileScheduleParams> = {
  name: 'sm80_tile_schedule',
  build: buildTileSchedule,
};

interface TileSchedulePlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<TileScheduleConfig, TileScheduleParams> };
}

/**
 * A thread for each request as far as a CTA has them, not many more: warps without work delay the
 * others. One warp tries one cost, of which there may be one more than the overhead has blocks.
 */
function threadsFor(batch: number, overheadBlocks: number): number {
  const wanted = Math.max(batch, 32 * (overheadBlocks + 1), 256);
  return Math.min(mostThreads, 2 ** Math.ceil(Math.log2(wanted)));
}

function configOf({ problem, plan }: ComputeScheduleProblem): TileScheduleConfig {
  return {
    kind: problem.kind,
    deterministic: plan.splitBlocks > 0,
    threads: threadsFor(problem.batch, plan.overheadBlocks),
  };
}

const grid = [1, 1, 1] as const;

/** Tile-scheduler metadata, computed by one CTA. */
export const tileSchedule = {
  operation: computeSchedule,
  problemOf: computeScheduleProblem,
  keyOf: (problem) => ({ ...configOf(problem) }),

  plan: (problem) => ({
    launches: { main: { kernel: tileScheduleSpec, config: configOf(problem), grid } },
    workspaceBytes: 0,
  }),

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, { problem, plan }, call) => {
      const isDense = problem.kind === 'dense';
      set.lengths(context.address(isDense ? args.seqlens : args.topkLength));
      set.extraLengths(context.address(args.extraTopkLength));
      const most = (tokens: number | undefined) => mostScheduledTokens(plan, problem.batch, tokens);
      set.mostTokens(most(isDense ? problem.maxSeqLenK : (problem.topk ?? 0)));
      set.mostExtra(most(problem.extraTopk ?? 0));
      set.metadata(context.address(args.metadata));
      set.numSplits(context.address(args.numSplits));
      set.batch(problem.batch);
      set.numParts(plan.numParts);
      set.blockTokens(plan.blockTokens);
      set.overheadBlocks(plan.overheadBlocks);
      set.splitBlocks(plan.splitBlocks);
      main.enqueue(call, grid);
    };
  },
} satisfies CudaKernel<ComputeScheduleArgs, ComputeScheduleProblem, TileSchedulePlan>;
