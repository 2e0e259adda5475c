import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { rows } from '../../../runtime/cpu/commands/descriptors.ts';

/** The scratch of a thread: a row of float32, a job of machine code and an entry as it lies in the table. */
export const embedding = defineCommand('embedding', {
  scratchBytes: 'usize',
  numRows: 'i32',
  columns: 'i32',
  scale: 'f64',
  ids: 'usize',
  /** Rows of the table. */
  entries: 'u32',
  table: rows,
  /** What machine code adds to its address: not 0 where the table lies outside the memory of the device. */
  tableBase: 'i64',
  entryBytes: 'usize',
  out: rows,
});
