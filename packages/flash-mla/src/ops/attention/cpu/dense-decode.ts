import { addressOf, dtypeCode, extentOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { DenseDecodeArgs } from '../contract.ts';
import { denseDecode } from './descriptors.ts';
import { attentionFaults } from './faults.ts';
import { decodePlanOf } from './workspace.ts';

/** See assembly/ops/dense-decode.ts. */
export function denseDecodeCommand(context: CommandContext, args: DenseDecodeArgs): Command {
  const { q, kCache, blockTable, seqlens, headDimV, schedule, out } = args;
  const { 0: batch = 0, 1: seqLenQ = 0, 2: numHeadsQ = 0, 3: headDimQk = 0 } = q.shape;
  const { 0: numBlocks = 0, 1: pageSize = 0, 2: numHeadsKv = 1 } = kCache.shape;
  const tableWidth = extentOf(blockTable, 1);
  const { plan, workspaceBytes } = decodePlanOf(
    context,
    {
      rows: (seqLenQ * numHeadsQ) / numHeadsKv,
      headDimQk,
      headDimV,
      separateValues: false,
    },
    schedule,
    Math.max(1, Math.ceil((tableWidth * pageSize) / schedule.plan.blockTokens)),
    numHeadsKv,
    batch,
  );
  return commandOf(
    denseDecode,
    {
      plan,
      dtype: dtypeCode(q.dtype),
      outType: dtypeCode(out.dtype),
      batch,
      seqLenQ,
      numHeadsQ,
      numHeadsKv,
      headDimQk,
      headDimV,
      q: addressOf(q),
      qBatchStride: strideOf(q, 0),
      qPositionStride: strideOf(q, 1),
      qHeadStride: strideOf(q, 2),
      cache: addressOf(kCache),
      numBlocks,
      pageSize,
      blockStride: strideOf(kCache, 0),
      tokenStride: strideOf(kCache, 1),
      kvHeadStride: strideOf(kCache, 2),
      blockTable: addressOf(blockTable),
      tableRowStride: strideOf(blockTable, 0),
      tableEntryStride: strideOf(blockTable, 1),
      tableWidth,
      seqlens: addressOf(seqlens),
      seqlensStride: strideOf(seqlens, 0),
      softmaxScale: args.softmaxScale,
      causal: args.causal,
      descaleQ: addressOf(args.descaleQ),
      descaleK: addressOf(args.descaleK),
      out: addressOf(out),
      lse: addressOf(args.lse),
    },
    { workspaceBytes, faults: attentionFaults },
  );
}
