/** How tensors are told to kernels, and the commands that belong to no operation. */

import { defineCommand } from './define-command.ts';
import { defineConstants, defineRecord } from './schema.ts';

/** Element types of tensors; {@link elementCode} gives them for a dtype. */
export const elements = defineConstants('i32', { BF16: 0, F16: 1, E4M3: 2, F32: 3 });

/** Rows of a tensor: element type, first row, bytes from row to row. Without a tensor the address is 0. */
export const rows = defineRecord('Rows', { type: 'i32', address: 'usize', stride: 'usize' });

/** Copies memory; source and target must not overlap. */
export const copyBytes = defineCommand('copyBytes', {
  target: 'usize',
  source: 'usize',
  bytes: 'usize',
});

/**
 * Copies memory of the process by machine code; addresses count from the beginning of the device's memory. The
 * scratch of a thread is a job.
 */
export const copyFar = defineCommand('copyFar', { target: 'i64', source: 'i64', bytes: 'usize' });

/** Multiplies and adds in registers. */
export const probeFma = defineCommand('probeFma', { calls: 'i32', iterations: 'i32' });

/** Reads memory and nothing else. */
export const probeRead = defineCommand('probeRead', { address: 'usize', bytes: 'usize' });
