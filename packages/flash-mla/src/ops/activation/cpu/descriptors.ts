import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { rows } from '../../../runtime/cpu/commands/descriptors.ts';

/** The scratch of a thread: two rows of float32. */
export const swiGlu = defineCommand('swiGlu', {
  scratchBytes: 'usize',
  numRows: 'i32',
  /** Of the result. */
  columns: 'i32',
  x: rows,
  out: rows,
});

/** The scratch of a thread: two rows of float32. */
export const addScaled = defineCommand('addScaled', {
  scratchBytes: 'usize',
  numRows: 'i32',
  columns: 'i32',
  scale: 'f64',
  x: rows,
  target: rows,
});
