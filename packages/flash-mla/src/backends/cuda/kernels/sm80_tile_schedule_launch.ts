import type { ComputeScheduleArgs } from '../../backend.ts';
import type { FamilyOperation, KernelSpec, LaunchPlan, OperationPlan } from '../kernel-family.ts';
import type { ComputeScheduleProblem } from '../problems.ts';
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

/** Longest length that counts, where the problem names none. */
const unbounded = 2 ** 31 - 1;

/** Tile-scheduler metadata, computed by one CTA. */
export const computeSchedule: FamilyOperation<ComputeScheduleProblem, ComputeScheduleArgs> = {
  plan({ problem, plan }): TileSchedulePlan {
    const config = { kind: problem.kind, deterministic: plan.splitBlocks > 0 };
    return {
      launches: { main: { kernel: tileScheduleSpec, config, grid: [1, 1, 1] } },
      workspaceBytes: 0,
    };
  },

  bind(context, anyPlan, { problem, plan }) {
    const isDense = problem.kind === 'dense';
    const main = context.prepare((anyPlan as TileSchedulePlan).launches.main, {
      lengths: 0,
      extraLengths: 0,
      mostTokens: isDense ? (problem.maxSeqLenK ?? unbounded) : (problem.topk ?? 0),
      mostExtra: problem.extraTopk ?? 0,
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
