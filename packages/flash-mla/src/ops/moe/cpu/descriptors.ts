import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { rows } from '../../../runtime/cpu/commands/descriptors.ts';
import { defineRecord } from '../../../runtime/cpu/commands/schema.ts';

/** The scratch of a thread: scores, what is chosen by, groups, three times `numExperts` float32. */
export const routeExperts = defineCommand('routeExperts', {
  scratchBytes: 'usize',
  numRows: 'i32',
  numExperts: 'i32',
  topK: 'i32',
  /** Experts of every row, behind those that are chosen; their weight is 1. */
  sharedExperts: 'i32',
  /** Scores are sigmoids of logits, else their softmax. */
  sigmoid: 'bool',
  groups: 'i32',
  topGroups: 'i32',
  /** A group's score is the sum of its two best, else its best. */
  top2: 'bool',
  normalize: 'bool',
  scale: 'f64',
  logits: rows,
  bias: 'usize',
  chosen: 'usize',
  weights: 'usize',
});

/** A matrix for each expert. */
export const matrices = defineRecord('Matrices', {
  /** What machine code adds to the address: not 0 where they lie outside the memory of the device. */
  base: 'i64',
  address: 'usize',
  stride: 'usize',
  expertStride: 'usize',
});

/**
 * The scratch of a thread: a job of machine code, sums of `rowBlock` rows and twice 32 columns, `rowBlock` rows and 32 rows of weights of the larger of `hidden` and
 * `width`, padded to 32 bytes, 2 · numExperts and rowChunk · topK numbers. Behind the scratch of all threads:
 * rowChunk · topK rows of `width` and as many of `hidden` float32.
 */
export const expertMlp = defineCommand('expertMlp', {
  scratchBytes: 'usize',
  /** Rows at a time. */
  rowChunk: 'i32',
  rowBlock: 'i32',
  numRows: 'i32',
  topK: 'i32',
  numExperts: 'i32',
  hidden: 'i32',
  width: 'i32',
  x: rows,
  experts: 'usize',
  weights: 'usize',
  weightType: 'i32',
  gateUp: matrices,
  gateUpScales: matrices,
  down: matrices,
  downScales: matrices,
  residual: rows,
  out: rows,
});
