import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { rows } from '../../../runtime/cpu/commands/descriptors.ts';

/**
 * Strides are bytes. `rowBlock` rows of x, a multiple of three, and `weightBlock` rows of weights, a
 * multiple of four, are decoded at a time; a thread takes `columnBlock` columns, a multiple of 16, with
 * such rows at a time. The scratch of a thread: a job of machine code, sums of all of these rows and columns,
 * and the two blocks, rows padded to 32 bytes. Products of tiles take a multiple of 16 rows, and keep the rows
 * as they are packed in place of the two blocks.
 */
export const gemm = defineCommand('gemm', {
  scratchBytes: 'usize',
  rowBlock: 'i32',
  weightBlock: 'i32',
  columnBlock: 'i32',
  batch: 'i32',
  numRows: 'i32',
  columns: 'i32',
  depth: 'i32',
  x: rows,
  xBatchStride: 'usize',
  /** Of each column of the result; `transposed`: of each element of the depth. */
  weight: rows,
  /** What machine code adds to its address: not 0 where the weights lie outside the memory of the device. */
  weightBase: 'i64',
  weightBatchStride: 'usize',
  transposed: 'bool',
  /** Machine code multiplies tiles of bf16. */
  byTiles: 'bool',
  /** Of e4m3 weights: one for each 128 rows and columns. */
  scales: 'usize',
  /** As `weightBase`. */
  scalesBase: 'i64',
  scalesStride: 'usize',
  /** One row. */
  bias: rows,
  residual: rows,
  residualBatchStride: 'usize',
  out: rows,
  outBatchStride: 'usize',
  scale: 'f64',
});
