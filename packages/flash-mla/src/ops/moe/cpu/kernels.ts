import {
  addressOf,
  elementCode,
  extentOf,
  farRowsOf,
  rowsOf,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import {
  type ExpertMlpArgs,
  expertMlpOperation,
  type RouteExpertsArgs,
  routeExpertsOperation,
} from '../operation.ts';
import { expertMlp, routeExperts } from './descriptors.ts';

/** See assembly/moe/route-experts.ts. */
function routeCommand({ workers }: CommandContext, args: RouteExpertsArgs): Command {
  const { logits, bias, scoring, groups, topGroups, groupScore, normalize, scale } = args;
  const numExperts = extentOf(logits, 1);
  const scratchBytes = 3 * Math.ceil(numExperts / 4) * 16;
  return commandOf(
    routeExperts,
    {
      scratchBytes,
      numRows: extentOf(logits, 0),
      numExperts,
      topK: extentOf(args.experts, 1) - args.sharedExperts,
      sharedExperts: args.sharedExperts,
      sigmoid: scoring === 'sigmoid',
      groups,
      topGroups,
      top2: groupScore === 'top2',
      normalize,
      scale,
      logits: rowsOf(logits),
      bias: addressOf(bias),
      chosen: addressOf(args.experts),
      weights: addressOf(args.weights),
    },
    { workspaceBytes: workers * scratchBytes },
  );
}

/** Bytes that the intermediate results of a chunk of rows may take, and decoded rows in a cache. */
const mostChunkBytes = 96 * 2 ** 20;
const keptBytes = 384 * 1024;
const mostRows = 48;
/** A job of machine code. */
const jobBytes = 64;
/** Sums of a row: 32 gates and what they are multiplied with. */
const sumBytes = 2 * 4 * 32;
/** Rows of weights that are decoded at a time. */
const weightRows = 32;

/** The sizes of a call. */
export interface ExpertSizes {
  readonly rows: number;
  readonly topK: number;
  readonly experts: number;
  readonly hidden: number;
  readonly width: number;
}

/** How a call is cut up; see assembly/moe/expert-mlp.ts. */
export function cutExperts(sizes: ExpertSizes, chunkBytes = mostChunkBytes) {
  const { rows, topK, experts, hidden, width } = sizes;
  const rowBytes = Math.ceil(Math.max(hidden, width) / 8) * 32;
  const ofRow = topK * (width + hidden) * 4;
  const rowChunk = Math.max(1, Math.min(rows, Math.floor(chunkBytes / ofRow)));
  const fits = Math.floor(Math.min(mostRows, keptBytes / rowBytes, rowChunk + 2) / 3) * 3;
  const rowBlock = Math.max(3, fits);
  const lists = 4 * (2 * experts + rowChunk * topK);
  const blocks = rowBlock * (sumBytes + rowBytes) + weightRows * rowBytes;
  const scratchBytes = Math.ceil((jobBytes + blocks + lists) / 64) * 64;
  return { rowChunk, rowBlock, scratchBytes, sharedBytes: rowChunk * ofRow };
}

export function expertCommand(
  { workers }: CommandContext,
  args: ExpertMlpArgs,
  chunkBytes?: number,
): Command {
  const { x, weights, gateUp, down, gateUpScales, downScales, residual, out } = args;
  const sizes = {
    ...{ rows: extentOf(x, 0), topK: extentOf(args.experts, 1), experts: extentOf(gateUp, 0) },
    ...{ hidden: extentOf(x, 1), width: extentOf(down, 2) },
  };
  const { rowChunk, rowBlock, scratchBytes, sharedBytes } = cutExperts(sizes, chunkBytes);
  const { rows: numRows, experts: numExperts, topK, hidden, width } = sizes;
  const matricesOf = (view: TensorView | undefined) => {
    if (view === undefined) return { base: 0, address: 0, stride: 0, expertStride: 0 };
    const { rows, base } = farRowsOf(view, 1);
    const { address, stride } = rows;
    return { base, address, stride, expertStride: strideOf(view, 0) };
  };
  return commandOf(
    expertMlp,
    {
      ...{ scratchBytes, rowChunk, rowBlock, numRows, topK, numExperts, hidden, width },
      x: rowsOf(x),
      experts: addressOf(args.experts),
      weights: addressOf(weights),
      weightType: elementCode(gateUp.dtype),
      gateUp: matricesOf(gateUp),
      gateUpScales: matricesOf(gateUpScales),
      down: matricesOf(down),
      downScales: matricesOf(downScales),
      residual: rowsOf(residual),
      out: rowsOf(out),
    },
    { workspaceBytes: workers * scratchBytes + sharedBytes },
  );
}

/** Machine code reads weights and their scales in place. */
function takesFar({ kernels }: CommandContext, args: ExpertMlpArgs, view: TensorView): boolean {
  const { gateUp, down, gateUpScales, downScales } = args;
  const type = elementCode(gateUp.dtype);
  const depths = [extentOf(gateUp, 2), extentOf(down, 2)];
  const multiplies = depths.every((depth) => kernels.multipliesWeights(type, depth) !== 0);
  return multiplies && [gateUp, down, gateUpScales, downScales].includes(view);
}

export const moeCpuKernels = [
  defineCpuKernel({ operation: routeExpertsOperation, command: routeCommand }),
  defineCpuKernel({
    operation: expertMlpOperation,
    command: (context, args) => expertCommand(context, args),
    takesFar,
  }),
];
