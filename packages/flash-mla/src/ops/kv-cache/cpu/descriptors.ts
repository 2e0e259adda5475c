/** What the kernels that write and read cache rows are told. Strides are bytes. */

import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';

/** The scratch of a thread: a job of machine code. */
export const quantizeRows = defineCommand('quantizeRows', {
  scratchBytes: 'usize',
  layout: 'i32',
  numRows: 'i32',
  pageSize: 'i32',
  source: 'usize',
  target: 'usize',
  blockStride: 'usize',
  tokenStride: 'usize',
});

export const dequantizeRows = defineCommand('dequantizeRows', {
  scratchBytes: 'usize',
  layout: 'i32',
  numRows: 'i32',
  pageSize: 'i32',
  source: 'usize',
  blockStride: 'usize',
  tokenStride: 'usize',
  target: 'usize',
});

/** The scratch of a thread: a job of machine code. */
export const appendRows = defineCommand('appendRows', {
  scratchBytes: 'usize',
  layout: 'i32',
  numRows: 'i32',
  numHeads: 'i32',
  /** Of one head. */
  rowBytes: 'usize',
  rows: 'usize',
  rowStride: 'usize',
  rowHeadStride: 'usize',
  slots: 'usize',
  /** Of one slot: 4 or 8. */
  slotBytes: 'usize',
  cache: 'usize',
  /** Tokens of the cache. */
  capacity: 'u32',
  pageSize: 'u32',
  blockStride: 'usize',
  tokenStride: 'usize',
  headStride: 'usize',
});
