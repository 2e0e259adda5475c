import {
  addressOf,
  elementCode,
  extentOf,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import {
  type ExpertMlpArgs,
  expertMlpOperation,
  type RouteExpertsArgs,
  routeExpertsOperation,
} from '../operation.ts';

/** See assembly/moe/route-experts.ts. */
function routeCommand({ workers }: CommandContext, args: RouteExpertsArgs): Command {
  const { logits, bias, scoring, groups, topGroups, groupScore, normalize, scale } = args;
  const count = extentOf(logits, 1);
  const scratchBytes = 3 * Math.ceil(count / 4) * 16;
  return {
    operation: 'routeExperts',
    workspaceBytes: workers * scratchBytes,
    arguments: [
      ...[scratchBytes, extentOf(logits, 0), count],
      ...[extentOf(args.experts, 1) - args.sharedExperts, args.sharedExperts],
      ...[scoring === 'sigmoid' ? 1 : 0, groups, topGroups, groupScore === 'top2' ? 1 : 0],
      ...[normalize ? 1 : 0, scale],
      ...[elementCode(logits.dtype), addressOf(logits), strideOf(logits, 0)],
      ...[addressOf(bias), addressOf(args.experts), addressOf(args.weights)],
    ],
  };
}

/** Bytes that the intermediate results of a chunk of rows may take, and decoded rows in a cache. */
const mostChunkBytes = 96 * 2 ** 20;
const keptBytes = 384 * 1024;
const mostRows = 48;
/** Sums of three rows, gates and what they are multiplied with. */
const sumBytes = 384;
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
  const scratchBytes = Math.ceil((sumBytes + (rowBlock + weightRows) * rowBytes + lists) / 16) * 16;
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
  const matrices = (view: TensorView | undefined) =>
    view ? [addressOf(view), strideOf(view, 1), strideOf(view, 0)] : [0, 0, 0];
  return {
    operation: 'expertMlp',
    workspaceBytes: workers * scratchBytes + sharedBytes,
    arguments: [
      ...[scratchBytes, rowChunk, rowBlock, sizes.rows, sizes.topK, sizes.experts],
      ...[sizes.hidden, sizes.width],
      ...[elementCode(x.dtype), addressOf(x), strideOf(x, 0)],
      ...[addressOf(args.experts), addressOf(weights), elementCode(gateUp.dtype)],
      ...[...matrices(gateUp), ...matrices(gateUpScales)],
      ...[...matrices(down), ...matrices(downScales)],
      ...[elementCode(residual?.dtype ?? 'f32'), addressOf(residual)],
      residual ? strideOf(residual, 0) : 0,
      ...[elementCode(out.dtype), addressOf(out), strideOf(out, 0)],
    ],
  };
}

export const moeCpuKernels = [
  defineCpuKernel({ operation: routeExpertsOperation, command: routeCommand }),
  defineCpuKernel({
    operation: expertMlpOperation,
    command: (context, args) => expertCommand(context, args),
  }),
];
