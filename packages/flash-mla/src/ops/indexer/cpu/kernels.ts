import { addressOf, extentOf, rowsOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { indexDim } from '../limits.ts';
import {
  type IndexRowsArgs,
  type IndexTopKArgs,
  indexRowsOperation,
  indexTopKOperation,
  type MqaLogitsArgs,
  mqaLogitsOperation,
} from '../operations.ts';
import { indexRows, indexTopK, mqaLogits } from './descriptors.ts';

/** See assembly/indexer/index-rows.ts. */
function indexRowsCommand({ workers }: CommandContext, args: IndexRowsArgs): Command {
  const { x, cos, sin, positions, interleaved, hadamard, target } = args;
  // A row, and the weight and bias of the norm.
  const scratchBytes = 3 * indexDim * 4;
  const isKeys = target.kind === 'keys';
  const pageSize = isKeys ? extentOf(target.cache, 1) : 1;
  return commandOf(
    indexRows,
    {
      scratchBytes,
      isKeys,
      numRows: extentOf(x, 0),
      numHeads: extentOf(x, 1),
      x: rowsOf(x),
      xHeadStride: strideOf(x, 1),
      cos: addressOf(cos),
      sin: addressOf(sin),
      numPositions: extentOf(cos, 0),
      positions: addressOf(positions),
      interleaved,
      hadamard,
      weights: rowsOf(isKeys ? target.normWeight : target.weights),
      weightScale: 1 / Math.sqrt(extentOf(x, 1) * indexDim),
      bias: isKeys ? addressOf(target.normBias) : 0,
      eps: isKeys ? target.eps : 0,
      slots: isKeys ? addressOf(target.slots) : 0,
      capacity: isKeys ? extentOf(target.cache, 0) * pageSize : 0,
      pageSize,
      out: addressOf(isKeys ? target.cache : target.out),
      outWeights: isKeys ? 0 : addressOf(target.outWeights),
    },
    { workspaceBytes: workers * scratchBytes },
  );
}

/** See assembly/indexer/mqa-logits.ts. */
function mqaLogitsCommand({ workers }: CommandContext, args: MqaLogitsArgs): Command {
  const { q, weights, keys, queriesPerRequest, ends, cleanLogits, logits } = args;
  const heads = extentOf(q, 1);
  // The query and a key as float32, and the products of four heads.
  const scratchBytes = (Math.ceil(heads / 4) * 4 + 1) * indexDim * 4 + 16;
  const where =
    keys.kind === 'paged'
      ? {
          keys: addressOf(keys.cache),
          scales: 0,
          blockTable: addressOf(keys.blockTable),
          tableStride: strideOf(keys.blockTable, 0),
          pageSize: extentOf(keys.cache, 1),
          numPages: extentOf(keys.cache, 0),
          starts: 0,
        }
      : {
          keys: addressOf(keys.keys),
          scales: addressOf(keys.scales),
          blockTable: 0,
          tableStride: 0,
          pageSize: 1,
          numPages: 0,
          starts: addressOf(keys.starts),
        };
  return commandOf(
    mqaLogits,
    {
      ...where,
      scratchBytes,
      numRows: extentOf(q, 0),
      numHeads: heads,
      columns: extentOf(logits, 1),
      queriesPerRequest,
      q: addressOf(q),
      weights: addressOf(weights),
      ends: addressOf(ends),
      cleanLogits,
      logits: addressOf(logits),
      logitsStride: strideOf(logits, 0),
    },
    { workspaceBytes: workers * scratchBytes },
  );
}

const histogramBytes = 2048 * 4;

/** See assembly/indexer/index-top-k.ts. */
function indexTopKCommand({ workers }: CommandContext, args: IndexTopKArgs): Command {
  const { logits, starts, ends, blockTable, pageSize, queriesPerRequest, indices } = args;
  return commandOf(
    indexTopK,
    {
      scratchBytes: histogramBytes,
      numRows: extentOf(logits, 0),
      columns: extentOf(logits, 1),
      topK: extentOf(indices, 1),
      logits: addressOf(logits),
      logitsStride: strideOf(logits, 0),
      starts: addressOf(starts),
      ends: addressOf(ends),
      blockTable: addressOf(blockTable),
      tableStride: blockTable ? strideOf(blockTable, 0) : 0,
      tableWidth: blockTable ? extentOf(blockTable, 1) : 0,
      pageSize: Math.max(1, pageSize),
      queriesPerRequest,
      indices: addressOf(indices),
    },
    { workspaceBytes: workers * histogramBytes },
  );
}

export const indexerCpuKernels = [
  defineCpuKernel({ operation: indexRowsOperation, command: indexRowsCommand }),
  defineCpuKernel({ operation: mqaLogitsOperation, command: mqaLogitsCommand }),
  defineCpuKernel({ operation: indexTopKOperation, command: indexTopKCommand }),
];
