import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { rows } from '../../../runtime/cpu/commands/descriptors.ts';

/** The scratch of a thread: a row of float32. */
export const embedding = defineCommand('embedding', {
  scratchBytes: 'usize',
  numRows: 'i32',
  columns: 'i32',
  scale: 'f64',
  ids: 'usize',
  /** Rows of the table. */
  entries: 'u32',
  table: rows,
  out: rows,
});
