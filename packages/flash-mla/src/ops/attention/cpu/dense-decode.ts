import { addressOf, dtypeCode, extentOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { DenseDecodeArgs } from '../contract.ts';
import { attentionFaults } from './faults.ts';
import { decodeWorkspace } from './workspace.ts';

/** See assembly/ops/dense-decode.ts. */
export function denseDecodeCommand(context: CommandContext, args: DenseDecodeArgs): Command {
  const { q, kCache, blockTable, seqlens, headDimV, schedule, out } = args;
  const { 0: batch = 0, 1: seqLenQ = 0, 2: numHeadsQ = 0, 3: headDimQk = 0 } = q.shape;
  const { 0: blocks = 0, 1: page = 0, 2: numHeadsKv = 1 } = kCache.shape;
  const tableWidth = extentOf(blockTable, 1);
  const { plan } = schedule;
  const workspace = decodeWorkspace(
    context,
    {
      rows: (seqLenQ * numHeadsQ) / numHeadsKv,
      headDimQk,
      headDimV,
      separateValues: false,
    },
    schedule,
    Math.max(1, Math.ceil((tableWidth * page) / plan.blockTokens)),
    numHeadsKv,
    batch,
  );
  return {
    operation: 'denseDecode',
    faults: attentionFaults,
    workspaceBytes: workspace.workspaceBytes,
    arguments: [
      workspace.scratchBytes,
      workspace.slotBytes,
      workspace.slotCount,
      workspace.tileRows,
      dtypeCode(q.dtype),
      dtypeCode(out.dtype),
      batch,
      seqLenQ,
      numHeadsQ,
      numHeadsKv,
      headDimQk,
      headDimV,
      addressOf(q),
      strideOf(q, 0),
      strideOf(q, 1),
      strideOf(q, 2),
      addressOf(kCache),
      blocks,
      page,
      strideOf(kCache, 0),
      strideOf(kCache, 1),
      strideOf(kCache, 2),
      addressOf(blockTable),
      strideOf(blockTable, 0),
      strideOf(blockTable, 1),
      tableWidth,
      addressOf(seqlens),
      strideOf(seqlens, 0),
      args.softmaxScale,
      args.causal ? 1 : 0,
      addressOf(args.descaleQ),
      addressOf(args.descaleK),
      addressOf(schedule.metadata),
      plan.numParts,
      addressOf(schedule.numSplits),
      plan.splitBlocks,
      workspace.mostSplits,
      addressOf(out),
      addressOf(args.lse),
    ],
  };
}
