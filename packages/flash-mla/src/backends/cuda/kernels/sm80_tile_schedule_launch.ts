import { mostScheduledTokens } from '../../../scheduling/tile-scheduler.ts';
import type { ComputeScheduleArgs } from '../../backend.ts';
import type { FamilyOperation, KernelSpec, LaunchPlan, OperationPlan } from '../kernel-family.ts';
import type { ComputeScheduleProblem } from '../problems.ts';
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

/** Tile-scheduler metadata, computed by one CTA. */
export const computeSchedule: FamilyOperation<ComputeScheduleProblem, ComputeScheduleArgs> = {
  plan({ problem, plan }): TileSchedulePlan {
    const { batch, kind } = problem;
    const deterministic = plan.splitBlocks > 0;
    const config = { kind, deterministic, threads: threadsFor(batch, plan.overheadBlocks) };
    return {
      launches: { main: { kernel: tileScheduleSpec, config, grid: [1, 1, 1] } },
      workspaceBytes: 0,
    };
  },

  bind(context, anyPlan, { problem, plan }) {
    const isDense = problem.kind === 'dense';
    const most = (tokens: number | undefined) => mostScheduledTokens(plan, problem.batch, tokens);
    const main = context.prepare((anyPlan as TileSchedulePlan).launches.main, {
      lengths: 0,
      extraLengths: 0,
      mostTokens: most(isDense ? problem.maxSeqLenK : (problem.topk ?? 0)),
      mostExtra: most(problem.extraTopk ?? 0),
      metadata: 0,
      numSplits: 0,
      batch: problem.batch,
      numParts: plan.numParts,
      blockTokens: plan.blockTokens,
      overheadBlocks: plan.overheadBlocks,
      splitBlocks: plan.splitBlocks,
    });
    const lengths = main.setter('lengths');
    const extraLengths = main.setter('extraLengths');
    const metadata = main.setter('metadata');
    const numSplits = main.setter('numSplits');
    return (args) => {
      lengths(context.address(isDense ? args.seqlens : args.topkLength));
      extraLengths(context.address(args.extraTopkLength));
      metadata(context.address(args.metadata));
      numSplits(context.address(args.numSplits));
      main.enqueue();
    };
  },
};
