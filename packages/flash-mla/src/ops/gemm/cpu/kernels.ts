import { elementCode, farRowsOf, rowsOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { type GemmArgs, type GemmSizes, gemmOperation, gemmSizes } from '../operation.ts';
import { gemm } from './descriptors.ts';

/** Decoded rows of x and of weights that a thread keeps in its cache, in bytes. */
const rowBytesKept = 384 * 1024;
const weightBytesKept = 128 * 1024;
/** The most rows and columns at a time; of columns a multiple of what the inner loops take. */
const mostRows = 48;
const mostWeights = 16;
const mostColumns = 64;
/** Rows that a thread keeps as tiles take them, of bf16, in bytes: in its second cache. */
const panelBytesKept = 1024 * 1024;
const mostTileRows = 128;
const tileRows = 16;
/** Columns of an item by tiles with few rows: the first of them come unforeseen. */
const mostColumnsOfFew = 256;
/** A job of machine code. */
const jobBytes = 64;

/** How a product is cut up for the threads; `byTiles`: by products of tiles. */
export function cutProduct(sizes: GemmSizes, workers: number, byTiles = false) {
  const { rows, batch, columns, depth } = sizes;
  if (byTiles) return cutTiles(sizes, workers);
  const rowBytes = Math.ceil(depth / 8) * 32;
  const fit = (bytes: number, most: number, unit: number) =>
    Math.max(unit, Math.floor(Math.min(most, bytes / rowBytes) / unit) * unit);
  const rowBlock = Math.min(fit(rowBytesKept, mostRows, 3), Math.ceil(rows / 3) * 3);
  const weightBlock = rows <= 3 ? mostWeights : fit(weightBytesKept, mostWeights, 4);
  const parts = batch * Math.ceil(rows / rowBlock);
  const columnBlock = columnsOf(columns * parts, workers);
  const sumBytes = 4 * rowBlock * columnBlock;
  const scratchBytes = jobBytes + sumBytes + (rowBlock + weightBlock) * rowBytes;
  return { rowBlock, weightBlock, columnBlock, scratchBytes };
}

function cutTiles({ rows, batch, columns, depth }: GemmSizes, workers: number) {
  const toTile = (n: number) => Math.ceil(n / tileRows) * tileRows;
  const kept = Math.floor(panelBytesKept / (2 * depth) / tileRows) * tileRows;
  const rowBlock = Math.min(Math.max(tileRows, Math.min(mostTileRows, kept)), toTile(rows));
  const most = rowBlock > 2 * tileRows ? mostColumns : mostColumnsOfFew;
  const columnBlock = columnsOf(columns * batch * Math.ceil(rows / rowBlock), workers, most);
  const scratchBytes = jobBytes + 4 * rowBlock * columnBlock + 2 * rowBlock * depth;
  return { rowBlock, weightBlock: 0, columnBlock, scratchBytes };
}

/** Columns of an item, so that each thread has some of all these: a multiple of 16. */
function columnsOf(columns: number, workers: number, most = mostColumns): number {
  const forAll = Math.ceil(columns / (4 * workers) / 16) * 16;
  return Math.max(16, Math.min(most, forAll));
}

/** Whether products of tiles do the work. */
function goesByTiles({ kernels }: CommandContext, args: GemmArgs): boolean {
  const { x, weight, transposed } = args;
  const { columns, depth } = gemmSizes(args);
  const types = [elementCode(x.dtype), elementCode(weight.dtype)] as const;
  return kernels.multipliesByTiles(...types, transposed ? 1 : 0, columns, depth) !== 0;
}

/** Machine code reads weights and their scales in place. */
function takesFar(context: CommandContext, args: GemmArgs, view: TensorView): boolean {
  const { weight, weightScales, transposed } = args;
  const { depth } = gemmSizes(args);
  const multiplies = () =>
    context.kernels.multipliesWeights(elementCode(weight.dtype), depth) !== 0;
  const isOfWeights = view === weight || view === weightScales;
  return isOfWeights && !transposed && (goesByTiles(context, args) || multiplies());
}

/** See assembly/gemm/gemm.ts. */
function gemmCommand(context: CommandContext, args: GemmArgs): Command {
  const { workers } = context;
  const { x, weight, transposed, weightScales, bias, residual, scale, out } = args;
  const sizes = gemmSizes(args);
  const { rows: numRows, batch, columns, depth } = sizes;
  const byTiles = goesByTiles(context, args);
  const { rows: weightRows, base: weightBase } = farRowsOf(weight, 1);
  const scales = weightScales && farRowsOf(weightScales);
  const cut = cutProduct(sizes, workers, byTiles);
  return commandOf(
    gemm,
    {
      ...cut,
      batch,
      numRows,
      columns,
      depth,
      x: rowsOf(x),
      xBatchStride: strideOf(x, 1),
      weight: weightRows,
      weightBase,
      weightBatchStride: strideOf(weight, 0),
      transposed,
      byTiles,
      scales: scales?.rows.address ?? 0,
      scalesBase: scales?.base ?? 0,
      scalesStride: scales?.rows.stride ?? 0,
      bias: rowsOf(bias),
      residual: rowsOf(residual),
      residualBatchStride: residual ? strideOf(residual, 1) : 0,
      out: rowsOf(out),
      outBatchStride: strideOf(out, 1),
      scale,
    },
    { workspaceBytes: workers * cut.scratchBytes },
  );
}

export const gemmCpuKernels = [
  defineCpuKernel({ operation: gemmOperation, command: gemmCommand, takesFar }),
];
