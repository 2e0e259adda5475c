import { addressOf, extentOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { SparsePrefillArgs } from '../contract.ts';
import { sparsePrefill } from './descriptors.ts';
import { maxTileRows } from './plan.ts';
import { scratchOf } from './workspace.ts';

/** See assembly/ops/sparse-prefill.ts. */
export function sparsePrefillCommand(context: CommandContext, args: SparsePrefillArgs): Command {
  const { q, kv, indices, headDimV } = args;
  const [seqLenQ = 0, numHeadsQ = 0, headDimQk = 0] = q.shape;
  const [numTokens = 0, numHeadsKv = 1] = kv.shape;
  const rows = numHeadsQ / numHeadsKv;
  const scratchBytes = scratchOf(context, { rows, headDimQk, headDimV, separateValues: false });
  return commandOf(
    sparsePrefill,
    {
      scratchBytes,
      tileRows: maxTileRows,
      seqLenQ,
      numHeadsQ,
      numTokens,
      numHeadsKv,
      headDimQk,
      headDimV,
      q: addressOf(q),
      qPositionStride: strideOf(q, 0),
      qHeadStride: strideOf(q, 1),
      kv: addressOf(kv),
      kvTokenStride: strideOf(kv, 0),
      kvHeadStride: strideOf(kv, 1),
      indices: addressOf(indices),
      indicesPositionStride: strideOf(indices, 0),
      indicesHeadStride: strideOf(indices, 1),
      topk: extentOf(indices, 2),
      topkLength: addressOf(args.topkLength),
      softmaxScale: args.smScale,
      attnSink: addressOf(args.attnSink),
      out: addressOf(args.out),
      maxLogits: addressOf(args.maxLogits),
      lse: addressOf(args.lse),
    },
    { workspaceBytes: context.workers * scratchBytes },
  );
}
