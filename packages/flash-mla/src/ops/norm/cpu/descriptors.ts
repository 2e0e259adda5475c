import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { rows } from '../../../runtime/cpu/commands/descriptors.ts';

/** The scratch of a thread: a row, a second operand and the weight, as float32. */
export const rmsNorm = defineCommand('rmsNorm', {
  scratchBytes: 'usize',
  numRows: 'i32',
  columns: 'i32',
  eps: 'f64',
  x: rows,
  residual: rows,
  /** One row. */
  weight: rows,
  out: rows,
  /** Of e4m3 results; absent with others. */
  scales: 'usize',
  powerOfTwoScales: 'bool',
});
