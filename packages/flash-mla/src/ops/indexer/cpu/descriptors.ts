import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { rows } from '../../../runtime/cpu/commands/descriptors.ts';

/** The scratch of a thread: a row, and the weight and bias of the norm, as float32. */
export const indexRows = defineCommand('indexRows', {
  scratchBytes: 'usize',
  /** Rows are keys, which are normed and go to a cache; else queries. */
  isKeys: 'bool',
  numRows: 'i32',
  numHeads: 'i32',
  x: rows,
  xHeadStride: 'usize',
  cos: 'usize',
  sin: 'usize',
  /** Rows of the tables. */
  numPositions: 'u32',
  positions: 'usize',
  interleaved: 'bool',
  hadamard: 'bool',
  /** Of keys the weight of the norm; of queries a weight for each head. */
  weights: rows,
  weightScale: 'f64',
  /** Of keys: the norm's bias, like the weight, and epsilon, their slots and what the cache holds. */
  bias: 'usize',
  eps: 'f64',
  slots: 'usize',
  capacity: 'u32',
  pageSize: 'u32',
  /** The cache, or where queries go. */
  out: 'usize',
  /** Of queries. */
  outWeights: 'usize',
});

/** The scratch of a thread: the query and a key as float32, and the products of four heads. */
export const mqaLogits = defineCommand('mqaLogits', {
  scratchBytes: 'usize',
  numRows: 'i32',
  numHeads: 'i32',
  columns: 'i32',
  queriesPerRequest: 'i32',
  q: 'usize',
  weights: 'usize',
  /** A paged cache, or ragged keys, which have scales of their own. */
  keys: 'usize',
  scales: 'usize',
  /** Of a paged cache. */
  blockTable: 'usize',
  tableStride: 'usize',
  pageSize: 'i32',
  numPages: 'i32',
  /** Of ragged keys. */
  starts: 'usize',
  ends: 'usize',
  cleanLogits: 'bool',
  logits: 'usize',
  logitsStride: 'usize',
});

/** The scratch of a thread: a histogram. */
export const indexTopK = defineCommand('indexTopK', {
  scratchBytes: 'usize',
  numRows: 'i32',
  columns: 'i32',
  topK: 'i32',
  logits: 'usize',
  logitsStride: 'usize',
  starts: 'usize',
  ends: 'usize',
  /** Absent: indices are columns. */
  blockTable: 'usize',
  tableStride: 'usize',
  tableWidth: 'i32',
  pageSize: 'i32',
  queriesPerRequest: 'i32',
  indices: 'usize',
});
