import {
  addressOf,
  extentOf,
  layoutCode,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { SparseCache, SparseDecodeArgs } from '../contract.ts';
import { attentionFaults } from './faults.ts';
import { decodeWorkspace } from './workspace.ts';

/** See assembly/ops/sparse-decode.ts. */
export function sparseDecodeCommand(context: CommandContext, args: SparseDecodeArgs): Command {
  const { q, layout, main, extra, headDimV, schedule } = args;
  const { 0: batch = 0, 1: seqLenQ = 0, 2: numHeadsQ = 0, 3: headDimQk = 0 } = q.shape;
  const { plan } = schedule;
  const blocksOf = (cache: SparseCache) => Math.ceil(extentOf(cache.indices, 2) / plan.blockTokens);
  const workspace = decodeWorkspace(
    context,
    { rows: numHeadsQ, headDimQk, headDimV, separateValues: false },
    schedule,
    Math.max(1, blocksOf(main)) + (extra ? blocksOf(extra) : 0),
    seqLenQ,
    batch,
  );
  return {
    operation: 'sparseDecode',
    faults: attentionFaults,
    workspaceBytes: workspace.workspaceBytes,
    arguments: [
      workspace.scratchBytes,
      workspace.slotBytes,
      workspace.slotCount,
      workspace.tileRows,
      layoutCode[layout],
      batch,
      seqLenQ,
      numHeadsQ,
      headDimQk,
      headDimV,
      addressOf(q),
      strideOf(q, 0),
      strideOf(q, 1),
      strideOf(q, 2),
      args.softmaxScale,
      addressOf(args.attnSink),
      addressOf(schedule.metadata),
      plan.numParts,
      addressOf(schedule.numSplits),
      plan.splitBlocks,
      workspace.mostSplits,
      addressOf(args.out),
      addressOf(args.lse),
      ...cacheArguments(main),
      ...(extra ? cacheArguments(extra) : absentCache),
    ],
  };
}

function cacheArguments({ kCache, indices, topkLength }: SparseCache): number[] {
  return [
    addressOf(kCache),
    extentOf(kCache, 0),
    extentOf(kCache, 1),
    strideOf(kCache, 0),
    strideOf(kCache, 1),
    addressOf(indices),
    strideOf(indices, 0),
    strideOf(indices, 1),
    extentOf(indices, 2),
    addressOf(topkLength),
  ];
}

/** A page of one token avoids a division by zero; no index is below 0 blocks. */
const absentCache = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
