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
  blocksOfLengths,
  blocksOfTopk,
  computeTileSchedule,
  type TileSchedule,
} from '../scheduling/tile-scheduler.ts';
export { type AppendProblem, appendKvCache } from './append.ts';
export { type AttendResult, attend, type KeyRows, sinkFactor } from './attend.ts';
export { combineSplits, type PartialRows } from './combine.ts';
export {
  type AttentionAnswer,
  type CacheAttentionProblem,
  cacheAttention,
  type VarlenAttentionProblem,
  varlenAttention,
} from './dense-attention.ts';
export { type DecodeAnswer, type DenseDecodeProblem, denseDecode } from './dense-decode.ts';
export { type PackedLayout, packedLayouts } from './packed-rows.ts';
export { dequantizeKvCache, quantizeKvCache } from './quantize.ts';
export { type SparseDecodeProblem, sparseDecode } from './sparse-decode.ts';
export { type PrefillAnswer, type SparsePrefillProblem, sparsePrefill } from './sparse-prefill.ts';
export type { SparseCacheProblem } from './sparse-rows.ts';
