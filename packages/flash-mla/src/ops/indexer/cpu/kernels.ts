import {
  addressOf,
  elementCode,
  extentOf,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
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

/** See assembly/indexer/index-rows.ts. */
function indexRowsCommand({ workers }: CommandContext, args: IndexRowsArgs): Command {
  const { x, cos, sin, positions, interleaved, hadamard, target } = args;
  // A row, and the weight and bias of the norm.
  const scratchBytes = 3 * indexDim * 4;
  const isKeys = target.kind === 'keys';
  const weights = isKeys ? target.normWeight : target.weights;
  const pageSize = isKeys ? extentOf(target.cache, 1) : 1;
  return {
    operation: 'indexRows',
    workspaceBytes: workers * scratchBytes,
    arguments: [
      ...[scratchBytes, extentOf(x, 0), extentOf(x, 1), elementCode(x.dtype), addressOf(x)],
      ...[strideOf(x, 0), strideOf(x, 1), addressOf(cos), addressOf(sin), extentOf(cos, 0)],
      ...[addressOf(positions), interleaved ? 1 : 0, hadamard ? 1 : 0],
      ...[elementCode(weights.dtype), addressOf(weights), isKeys ? 0 : strideOf(weights, 0)],
      1 / Math.sqrt(extentOf(x, 1) * indexDim),
      ...(isKeys ? [addressOf(target.normBias), target.eps, addressOf(target.slots)] : [0, 0, 0]),
      ...[isKeys ? extentOf(target.cache, 0) * pageSize : 0, pageSize],
      ...(isKeys
        ? [addressOf(target.cache), 0]
        : [addressOf(target.out), addressOf(target.outWeights)]),
    ],
  };
}

/** See assembly/indexer/mqa-logits.ts. */
function mqaLogitsCommand({ workers }: CommandContext, args: MqaLogitsArgs): Command {
  const { q, weights, keys, queriesPerRequest, ends, cleanLogits, logits } = args;
  const heads = extentOf(q, 1);
  // The query and a key as float32, and the products of four heads.
  const scratchBytes = (Math.ceil(heads / 4) * 4 + 1) * indexDim * 4 + 16;
  const where =
    keys.kind === 'paged'
      ? [
          ...[addressOf(keys.cache), 0, addressOf(keys.blockTable), strideOf(keys.blockTable, 0)],
          ...[extentOf(keys.cache, 1), extentOf(keys.cache, 0), 0],
        ]
      : [addressOf(keys.keys), addressOf(keys.scales), 0, 0, 1, 0, addressOf(keys.starts)];
  return {
    operation: 'mqaLogits',
    workspaceBytes: workers * scratchBytes,
    arguments: [
      ...[scratchBytes, extentOf(q, 0), heads, extentOf(logits, 1), queriesPerRequest],
      ...[addressOf(q), addressOf(weights), ...where, addressOf(ends), cleanLogits ? 1 : 0],
      ...[addressOf(logits), strideOf(logits, 0)],
    ],
  };
}

const histogramBytes = 2048 * 4;

/** See assembly/indexer/index-top-k.ts. */
function indexTopKCommand({ workers }: CommandContext, args: IndexTopKArgs): Command {
  const { logits, starts, ends, blockTable, pageSize, queriesPerRequest, indices } = args;
  return {
    operation: 'indexTopK',
    workspaceBytes: workers * histogramBytes,
    arguments: [
      ...[histogramBytes, extentOf(logits, 0), extentOf(logits, 1), extentOf(indices, 1)],
      ...[addressOf(logits), strideOf(logits, 0), addressOf(starts), addressOf(ends)],
      ...[addressOf(blockTable), blockTable ? strideOf(blockTable, 0) : 0],
      ...[blockTable ? extentOf(blockTable, 1) : 0, Math.max(1, pageSize), queriesPerRequest],
      addressOf(indices),
    ],
  };
}

export const indexerCpuKernels = [
  defineCpuKernel({ operation: indexRowsOperation, command: indexRowsCommand }),
  defineCpuKernel({ operation: mqaLogitsOperation, command: mqaLogitsCommand }),
  defineCpuKernel({ operation: indexTopKOperation, command: indexTopKCommand }),
];
