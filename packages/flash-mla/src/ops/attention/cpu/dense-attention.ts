import { addressOf, dtypeCode, extentOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import type { DenseAttentionArgs } from '../contract.ts';
import { denseAttention } from './descriptors.ts';
import { attentionFaults } from './faults.ts';
import { maxTileRows } from './plan.ts';
import { scratchOf } from './workspace.ts';

/** See assembly/ops/dense-attention.ts. A packed k has no pages: page 0. */
export function denseAttentionCommand(context: CommandContext, args: DenseAttentionArgs): Command {
  const { q, k, v, blockTable } = args;
  const [totalQ = 0, numHeadsQ = 0, headDimQk = 0] = q.shape;
  const batch = args.cuSeqlensQ ? extentOf(args.cuSeqlensQ, 0) - 1 : totalQ / args.maxSeqLenQ;
  const paged = args.seqlensK !== undefined;
  const at = paged ? 1 : 0;
  const headDimV = extentOf(v, at + 2);
  const scratch = scratchOf(context, {
    rows: maxTileRows,
    headDimQk,
    headDimV,
    separateValues: true,
  });
  const keysOrValues = (view: TensorView) => ({
    address: addressOf(view),
    blockStride: paged ? strideOf(view, 0) : 0,
    tokenStride: strideOf(view, at),
    headStride: strideOf(view, at + 1),
  });
  return commandOf(
    denseAttention,
    {
      scratchBytes: scratch,
      tileRows: maxTileRows,
      dtype: dtypeCode(q.dtype),
      batch,
      totalQ,
      numHeadsQ,
      numHeadsKv: extentOf(k, at + 1),
      headDimQk,
      headDimV,
      q: addressOf(q),
      qTokenStride: strideOf(q, 0),
      qHeadStride: strideOf(q, 1),
      k: keysOrValues(k),
      v: keysOrValues(v),
      numBlocks: paged ? extentOf(k, 0) : 0,
      pageSize: paged ? extentOf(k, 1) : 0,
      totalK: paged ? 0 : extentOf(k, 0),
      blockTable: addressOf(blockTable),
      tableRowStride: blockTable ? strideOf(blockTable, 0) : 0,
      tableEntryStride: blockTable ? strideOf(blockTable, 1) : 0,
      tableWidth: blockTable ? extentOf(blockTable, 1) : 0,
      maxSeqLenQ: args.maxSeqLenQ,
      cuSeqlensQ: addressOf(args.cuSeqlensQ),
      cuSeqlensK: addressOf(args.cuSeqlensK),
      seqlensK: addressOf(args.seqlensK),
      softmaxScale: args.softmaxScale,
      causal: args.causal,
      checkOrder: context.debug,
      out: addressOf(args.out),
      lse: addressOf(args.lse),
    },
    { workspaceBytes: context.workers * scratch, faults: attentionFaults },
  );
}
