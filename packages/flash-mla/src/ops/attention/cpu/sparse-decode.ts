import { addressOf, extentOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { Values } from '../../../runtime/cpu/commands/schema.ts';
import { layoutCode } from '../../kernel-lib/cpu/descriptors.ts';
import type { SparseCache, SparseDecodeArgs } from '../contract.ts';
import { type sparseCache, sparseDecode } from './descriptors.ts';
import { attentionFaults } from './faults.ts';
import { decodePlanOf } from './workspace.ts';

/** See assembly/ops/sparse-decode.ts. */
export function sparseDecodeCommand(context: CommandContext, args: SparseDecodeArgs): Command {
  const { q, layout, main, extra, headDimV, schedule } = args;
  const { 0: batch = 0, 1: seqLenQ = 0, 2: numHeadsQ = 0, 3: headDimQk = 0 } = q.shape;
  const { blockTokens } = schedule.plan;
  const blocksOf = (cache: SparseCache) => Math.ceil(extentOf(cache.indices, 2) / blockTokens);
  const { plan, workspaceBytes } = decodePlanOf(
    context,
    { rows: numHeadsQ, headDimQk, headDimV, separateValues: false },
    schedule,
    Math.max(1, blocksOf(main)) + (extra ? blocksOf(extra) : 0),
    seqLenQ,
    batch,
  );
  return commandOf(
    sparseDecode,
    {
      plan,
      layout: layoutCode[layout],
      batch,
      seqLenQ,
      numHeadsQ,
      headDimQk,
      headDimV,
      q: addressOf(q),
      qBatchStride: strideOf(q, 0),
      qPositionStride: strideOf(q, 1),
      qHeadStride: strideOf(q, 2),
      softmaxScale: args.softmaxScale,
      attnSink: addressOf(args.attnSink),
      out: addressOf(args.out),
      lse: addressOf(args.lse),
      main: cacheFields(main),
      extra: extra ? cacheFields(extra) : absentCache,
    },
    { workspaceBytes, faults: attentionFaults },
  );
}

type CacheFields = Values<typeof sparseCache.fields>;

function cacheFields({ kCache, indices, topkLength }: SparseCache): CacheFields {
  return {
    address: addressOf(kCache),
    numBlocks: extentOf(kCache, 0),
    pageSize: extentOf(kCache, 1),
    blockStride: strideOf(kCache, 0),
    tokenStride: strideOf(kCache, 1),
    indices: addressOf(indices),
    indicesBatchStride: strideOf(indices, 0),
    indicesPositionStride: strideOf(indices, 1),
    topk: extentOf(indices, 2),
    topkLength: addressOf(topkLength),
  };
}

const absentCache: CacheFields = {
  address: 0,
  numBlocks: 0,
  // Avoids a division by zero; no index is below 0 blocks.
  pageSize: 1,
  blockStride: 0,
  tokenStride: 0,
  indices: 0,
  indicesBatchStride: 0,
  indicesPositionStride: 0,
  topk: 0,
  topkLength: 0,
};
