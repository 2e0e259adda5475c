/**
 * The float64 meaning of every operation, on plain host data. Every backend is held to it. Names and
 * shapes follow the public functions; nothing here touches a device.
 *
 * Conventions, FlashMLA's own: logits are scaled by `softmaxScale` (`smScale`) before anything else,
 * `lse` is their natural log-sum-exp and `maxLogits` their maximum. A row that attends to nothing has
 * out 0, lse +inf, maxLogits −inf. A sink changes out only. Packed rows mean value × scale, exactly;
 * devices round that where a scale is no power of two (`PackedKvLayout`).
 */

export { decodeAll, type HostTensor, hostTensor, hostTensorFromBytes } from '@flash-mla/core';
export {
  type AttendResult,
  attend,
  type KeyRows,
  sinkFactor,
} from './attention/reference/attend.ts';
export { combineSplits, type PartialRows } from './attention/reference/combine.ts';
export {
  type AttentionAnswer,
  type CacheAttentionProblem,
  cacheAttention,
  type VarlenAttentionProblem,
  varlenAttention,
} from './attention/reference/dense-attention.ts';
export {
  type DecodeAnswer,
  type DenseDecodeProblem,
  denseDecode,
} from './attention/reference/dense-decode.ts';
export { type SparseDecodeProblem, sparseDecode } from './attention/reference/sparse-decode.ts';
export {
  type PrefillAnswer,
  type SparsePrefillProblem,
  sparsePrefill,
} from './attention/reference/sparse-prefill.ts';
export type { SparseCacheProblem } from './attention/reference/sparse-rows.ts';
export {
  blocksOfLengths,
  blocksOfTopk,
  computeTileSchedule,
  type TileSchedule,
} from './attention/schedule/tile-scheduler.ts';
export {
  type AppendProblem,
  appendKvCache,
  dequantizeKvCache,
  type PackedLayout,
  packedLayouts,
  quantizeKvCache,
} from './kv-cache/reference/index.ts';
export {
  copyMisses,
  copyRows,
  type MissCopy,
  type RowCopy,
  type SwapInCounts,
  swapIn,
} from './swap-in/reference.ts';
export type {
  Integers,
  MissPlan,
  SwapInProblem,
  SwapInSizes,
  SwapInState,
  SwapInTables,
} from './swap-in/reference-problem.ts';
