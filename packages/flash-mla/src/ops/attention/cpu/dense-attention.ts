import { addressOf, dtypeCode, extentOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { DenseAttentionArgs } from '../contract.ts';
import { attentionFaults } from './faults.ts';
import { maxTileRows } from './plan.ts';
import { scratchBytes } from './workspace.ts';

/** See assembly/ops/dense-attention.ts. A packed k has no pages: page 0. */
export function denseAttentionCommand(context: CommandContext, args: DenseAttentionArgs): Command {
  const { q, k, v, blockTable } = args;
  const [totalQ = 0, numHeadsQ = 0, headDimQk = 0] = q.shape;
  const batch = args.cuSeqlensQ ? extentOf(args.cuSeqlensQ, 0) - 1 : totalQ / args.maxSeqlenQ;
  const paged = args.seqlensK !== undefined;
  const at = paged ? 1 : 0;
  const headDimV = extentOf(v, at + 2);
  const scratch = scratchBytes(context, {
    rows: maxTileRows,
    headDimQk,
    headDimV,
    separateValues: true,
  });
  return {
    operation: 'denseAttention',
    faults: attentionFaults,
    workspaceBytes: context.workers * scratch,
    arguments: [
      scratch,
      maxTileRows,
      dtypeCode(q.dtype),
      batch,
      totalQ,
      numHeadsQ,
      extentOf(k, at + 1),
      headDimQk,
      headDimV,
      addressOf(q),
      strideOf(q, 0),
      strideOf(q, 1),
      addressOf(k),
      paged ? strideOf(k, 0) : 0,
      strideOf(k, at),
      strideOf(k, at + 1),
      addressOf(v),
      paged ? strideOf(v, 0) : 0,
      strideOf(v, at),
      strideOf(v, at + 1),
      paged ? extentOf(k, 0) : 0,
      paged ? extentOf(k, 1) : 0,
      paged ? 0 : extentOf(k, 0),
      addressOf(blockTable),
      blockTable ? strideOf(blockTable, 0) : 0,
      blockTable ? strideOf(blockTable, 1) : 0,
      blockTable ? extentOf(blockTable, 1) : 0,
      args.maxSeqlenQ,
      addressOf(args.cuSeqlensQ),
      addressOf(args.cuSeqlensK),
      addressOf(args.seqlensK),
      args.softmaxScale,
      args.causal ? 1 : 0,
      addressOf(args.out),
      addressOf(args.lse),
      context.debug ? 1 : 0,
    ],
  };
}
