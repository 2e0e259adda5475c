import type { ComputeScheduleArgs } from '../../../attention/schedule-contract.ts';
import { addressOf } from './address.ts';
import type { Command } from './operations.ts';

/** See schedule-worker.ts. */
export function scheduleCommand(args: ComputeScheduleArgs): Command {
  const { problem, plan } = args;
  return {
    operation: 'computeSchedule',
    workspaceBytes: 0,
    arguments: [
      problem.batch,
      plan.numParts,
      plan.blockTokens,
      plan.overheadBlocks,
      plan.splitBlocks,
      addressOf(args.seqlens),
      problem.maxSeqLenK ?? 2 ** 31 - 1,
      problem.topk ?? 0,
      addressOf(args.topkLength),
      problem.extraTopk ?? 0,
      addressOf(args.extraTopkLength),
      addressOf(args.metadata),
      addressOf(args.numSplits),
    ],
  };
}
