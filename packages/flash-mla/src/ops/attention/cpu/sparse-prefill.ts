import { addressOf, extentOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { SparsePrefillArgs } from '../contract.ts';
import { maxTileRows } from './plan.ts';
import { scratchBytes } from './workspace.ts';

/** See assembly/ops/sparse-prefill.ts. */
export function sparsePrefillCommand(context: CommandContext, args: SparsePrefillArgs): Command {
  const { q, kv, indices, headDimV } = args;
  const [seqLenQ = 0, numHeadsQ = 0, headDimQk = 0] = q.shape;
  const [tokens = 0, numHeadsKv = 1] = kv.shape;
  const rows = numHeadsQ / numHeadsKv;
  const scratch = scratchBytes(context, { rows, headDimQk, headDimV, separateValues: false });
  return {
    operation: 'sparsePrefill',
    workspaceBytes: context.workers * scratch,
    arguments: [
      scratch,
      maxTileRows,
      seqLenQ,
      numHeadsQ,
      tokens,
      numHeadsKv,
      headDimQk,
      headDimV,
      addressOf(q),
      strideOf(q, 0),
      strideOf(q, 1),
      addressOf(kv),
      strideOf(kv, 0),
      strideOf(kv, 1),
      addressOf(indices),
      strideOf(indices, 0),
      strideOf(indices, 1),
      extentOf(indices, 2),
      addressOf(args.topkLength),
      args.smScale,
      addressOf(args.attnSink),
      addressOf(args.out),
      addressOf(args.maxLogits),
      addressOf(args.lse),
    ],
  };
}
