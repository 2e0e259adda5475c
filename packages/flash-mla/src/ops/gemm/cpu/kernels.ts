import { addressOf, elementCode, strideOf } from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { type GemmArgs, type GemmSizes, gemmOperation, gemmSizes } from '../operation.ts';

/** Decoded rows of x and of weights that a thread keeps in its cache, in bytes. */
const rowBytesKept = 384 * 1024;
const weightBytesKept = 128 * 1024;
/** The most rows and columns at a time; of columns a multiple of what the inner loops take. */
const mostRows = 48;
const mostWeights = 16;
const mostColumns = 64;
/** A job of machine code. */
const jobBytes = 64;

/** How a product is cut up for the threads. */
export function cutProduct({ rows, batch, columns, depth }: GemmSizes, workers: number) {
  const rowBytes = Math.ceil(depth / 8) * 32;
  const fit = (bytes: number, most: number, unit: number) =>
    Math.max(unit, Math.floor(Math.min(most, bytes / rowBytes) / unit) * unit);
  const rowBlock = Math.min(fit(rowBytesKept, mostRows, 3), Math.ceil(rows / 3) * 3);
  const weightBlock = rows <= 3 ? mostWeights : fit(weightBytesKept, mostWeights, 4);
  const parts = batch * Math.ceil(rows / rowBlock);
  const columnsForAll = Math.ceil((columns * parts) / (4 * workers) / 16) * 16;
  const columnBlock = Math.max(16, Math.min(mostColumns, columnsForAll));
  const sumBytes = 4 * rowBlock * columnBlock;
  const scratchBytes = jobBytes + sumBytes + (rowBlock + weightBlock) * rowBytes;
  return { rowBlock, weightBlock, columnBlock, scratchBytes };
}

/** See assembly/gemm/gemm.ts. */
function gemmCommand({ workers }: CommandContext, args: GemmArgs): Command {
  const { x, weight, transposed, weightScales, bias, residual, scale, out } = args;
  const sizes = gemmSizes(args);
  const { rows, batch, columns, depth } = sizes;
  const { rowBlock, weightBlock, columnBlock, scratchBytes } = cutProduct(sizes, workers);
  const code = (view: TensorView | undefined) => elementCode(view?.dtype ?? 'f32');
  const stride = (view: TensorView | undefined, d: number) => (view ? strideOf(view, d) : 0);
  return {
    operation: 'gemm',
    workspaceBytes: workers * scratchBytes,
    arguments: [
      ...[scratchBytes, rowBlock, weightBlock, columnBlock],
      ...[batch, rows, columns, depth],
      ...[code(x), addressOf(x), strideOf(x, 0), strideOf(x, 1)],
      ...[code(weight), transposed ? 1 : 0],
      ...[addressOf(weight), strideOf(weight, 1), strideOf(weight, 0)],
      ...[addressOf(weightScales), stride(weightScales, 0)],
      ...[code(bias), addressOf(bias)],
      ...[code(residual), addressOf(residual), stride(residual, 0), stride(residual, 1)],
      ...[code(out), addressOf(out), strideOf(out, 0), strideOf(out, 1)],
      scale,
    ],
  };
}

export const gemmCpuKernels = [defineCpuKernel({ operation: gemmOperation, command: gemmCommand })];
