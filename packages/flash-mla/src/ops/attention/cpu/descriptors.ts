/** What the kernels of assembly/ops are told. Strides are bytes, and an absent tensor is at address 0. */

import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';
import { defineConstants, defineRecord } from '../../../runtime/cpu/commands/schema.ts';
import { type PartField, partFields } from '../schedule/metadata.ts';

/** What can be wrong with data on the device; faults.ts has the texts. */
export const faultCodes = defineConstants('i32', {
  BAD_SPLITS: 1,
  BAD_METADATA: 2,
  BAD_CU_SEQLENS_Q: 3,
  BAD_CU_SEQLENS_K: 4,
});

/** A row of the tile-scheduler metadata. */
export const schedulePart = defineRecord(
  'SchedulePart',
  Object.fromEntries(partFields.map((name) => [name, 'i32'])) as Record<PartField, 'i32'>,
);

/** How a decode command is cut into items, and where partial results go. */
export const decodePlan = defineRecord('DecodePlan', {
  /** Tile-scheduler metadata and prefix sums of splits, as the schedule has them. */
  metadata: 'usize',
  numParts: 'i32',
  numSplits: 'usize',
  /** Blocks of a split in the deterministic mode, else 0. */
  splitBlocks: 'i32',
  /** The most splits of a request; further ones, of a length above what is planned for, hold no blocks. */
  mostSplits: 'i32',
  /** The most query rows of a tile. */
  tileRows: 'i32',
  /** Of each thread, at the begin of the workspace. */
  scratchBytes: 'usize',
  /** Partial results behind the scratch of all threads. */
  slotBytes: 'usize',
  slotCount: 'i32',
});

export const denseDecode = defineCommand('denseDecode', {
  plan: decodePlan,
  dtype: 'i32',
  outType: 'i32',
  batch: 'i32',
  seqLenQ: 'i32',
  numHeadsQ: 'i32',
  numHeadsKv: 'i32',
  headDimQk: 'i32',
  headDimV: 'i32',
  q: 'usize',
  qBatchStride: 'usize',
  qPositionStride: 'usize',
  qHeadStride: 'usize',
  cache: 'usize',
  numBlocks: 'i32',
  pageSize: 'i32',
  blockStride: 'usize',
  tokenStride: 'usize',
  kvHeadStride: 'usize',
  blockTable: 'usize',
  tableRowStride: 'usize',
  tableEntryStride: 'usize',
  /** Entries of a row of the block table. */
  tableWidth: 'i32',
  seqlens: 'usize',
  seqlensStride: 'usize',
  softmaxScale: 'f64',
  causal: 'bool',
  /** f32 each. */
  descaleQ: 'usize',
  descaleK: 'usize',
  out: 'usize',
  lse: 'usize',
});

/** A cache of a sparse call, with the lists of its tokens. */
export const sparseCache = defineRecord('SparseCache', {
  address: 'usize',
  numBlocks: 'i32',
  pageSize: 'i32',
  blockStride: 'usize',
  tokenStride: 'usize',
  indices: 'usize',
  indicesBatchStride: 'usize',
  indicesPositionStride: 'usize',
  topk: 'i32',
  /** i32 (b), clamped to 0…topk; absent: all entries count. */
  topkLength: 'usize',
});

export const sparseDecode = defineCommand('sparseDecode', {
  plan: decodePlan,
  layout: 'i32',
  batch: 'i32',
  seqLenQ: 'i32',
  numHeadsQ: 'i32',
  headDimQk: 'i32',
  headDimV: 'i32',
  q: 'usize',
  qBatchStride: 'usize',
  qPositionStride: 'usize',
  qHeadStride: 'usize',
  softmaxScale: 'f64',
  attnSink: 'usize',
  out: 'usize',
  lse: 'usize',
  main: sparseCache,
  /** Of topk 0 where there is none. */
  extra: sparseCache,
});

export const sparsePrefill = defineCommand('sparsePrefill', {
  scratchBytes: 'usize',
  tileRows: 'i32',
  seqLenQ: 'i32',
  numHeadsQ: 'i32',
  numTokens: 'i32',
  numHeadsKv: 'i32',
  headDimQk: 'i32',
  headDimV: 'i32',
  q: 'usize',
  qPositionStride: 'usize',
  qHeadStride: 'usize',
  kv: 'usize',
  kvTokenStride: 'usize',
  kvHeadStride: 'usize',
  indices: 'usize',
  indicesPositionStride: 'usize',
  indicesHeadStride: 'usize',
  topk: 'i32',
  /** i32 (sQ), clamped to 0…topk. */
  topkLength: 'usize',
  softmaxScale: 'f64',
  attnSink: 'usize',
  out: 'usize',
  maxLogits: 'usize',
  lse: 'usize',
});

/** k or v: packed, where blocks are 0 bytes apart, or a cache. */
export const keysOrValues = defineRecord('KeysOrValues', {
  address: 'usize',
  blockStride: 'usize',
  tokenStride: 'usize',
  headStride: 'usize',
});

export const denseAttention = defineCommand('denseAttention', {
  scratchBytes: 'usize',
  tileRows: 'i32',
  dtype: 'i32',
  batch: 'i32',
  totalQ: 'i32',
  numHeadsQ: 'i32',
  numHeadsKv: 'i32',
  headDimQk: 'i32',
  headDimV: 'i32',
  q: 'usize',
  qTokenStride: 'usize',
  qHeadStride: 'usize',
  k: keysOrValues,
  v: keysOrValues,
  numBlocks: 'i32',
  /** 0: k and v are packed. */
  pageSize: 'i32',
  /** Tokens of a packed k. */
  totalK: 'i32',
  blockTable: 'usize',
  tableRowStride: 'usize',
  tableEntryStride: 'usize',
  tableWidth: 'i32',
  maxSeqLenQ: 'i32',
  cuSeqlensQ: 'usize',
  cuSeqlensK: 'usize',
  seqlensK: 'usize',
  softmaxScale: 'f64',
  causal: 'bool',
  /** Report offsets that fall. */
  checkOrder: 'bool',
  out: 'usize',
  lse: 'usize',
});

export const computeSchedule = defineCommand('computeSchedule', {
  batch: 'i32',
  numParts: 'i32',
  blockTokens: 'i32',
  overheadBlocks: 'i32',
  splitBlocks: 'i32',
  /** Dense: i32 (b). */
  seqlens: 'usize',
  maxSeqLenK: 'i32',
  topk: 'i32',
  topkLength: 'usize',
  extraTopk: 'i32',
  extraTopkLength: 'usize',
  metadata: 'usize',
  numSplits: 'usize',
});
