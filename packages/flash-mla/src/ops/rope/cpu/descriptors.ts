import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { rows } from '../../../runtime/cpu/commands/descriptors.ts';

/** The scratch of a thread: a row of float32. */
export const applyRope = defineCommand('applyRope', {
  scratchBytes: 'usize',
  numRows: 'i32',
  numHeads: 'i32',
  dim: 'i32',
  interleaved: 'bool',
  cos: 'usize',
  sin: 'usize',
  /** Rows of the tables. */
  numPositions: 'u32',
  /** Absent: row i has position i. */
  positions: 'usize',
  x: rows,
  xHeadStride: 'usize',
  out: rows,
  outHeadStride: 'usize',
});
