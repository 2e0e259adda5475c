import { addressOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import { mostScheduledTokens } from '../schedule/tile-scheduler.ts';
import type { ComputeScheduleArgs } from '../schedule-contract.ts';
import { computeSchedule } from './descriptors.ts';

/** See assembly/ops/schedule.ts. */
export function scheduleCommand(args: ComputeScheduleArgs): Command {
  const { problem, plan } = args;
  const most = (tokens: number | undefined) => mostScheduledTokens(plan, problem.batch, tokens);
  return commandOf(
    computeSchedule,
    {
      batch: problem.batch,
      numParts: plan.numParts,
      blockTokens: plan.blockTokens,
      overheadBlocks: plan.overheadBlocks,
      splitBlocks: plan.splitBlocks,
      seqlens: addressOf(args.seqlens),
      maxSeqLenK: most(problem.maxSeqLenK),
      topk: most(problem.topk ?? 0),
      topkLength: addressOf(args.topkLength),
      extraTopk: most(problem.extraTopk ?? 0),
      extraTopkLength: addressOf(args.extraTopkLength),
      metadata: addressOf(args.metadata),
      numSplits: addressOf(args.numSplits),
    },
    // Blocks of each request.
    { workspaceBytes: 4 * problem.batch },
  );
}
