import { addressOf } from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import { mostScheduledTokens } from '../schedule/tile-scheduler.ts';
import type { ComputeScheduleArgs } from '../schedule-contract.ts';

/** See assembly/ops/schedule.ts. */
export function scheduleCommand(args: ComputeScheduleArgs): Command {
  const { problem, plan } = args;
  const most = (tokens: number | undefined) => mostScheduledTokens(plan, problem.batch, tokens);
  return {
    operation: 'computeSchedule',
    // Blocks of each request.
    workspaceBytes: 4 * problem.batch,
    arguments: [
      problem.batch,
      plan.numParts,
      plan.blockTokens,
      plan.overheadBlocks,
      plan.splitBlocks,
      addressOf(args.seqlens),
      most(problem.maxSeqLenK),
      most(problem.topk ?? 0),
      addressOf(args.topkLength),
      most(problem.extraTopk ?? 0),
      addressOf(args.extraTopkLength),
      addressOf(args.metadata),
      addressOf(args.numSplits),
    ],
  };
}
