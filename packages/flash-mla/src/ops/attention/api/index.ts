/** The public operations, one file each. */

export {
  type AppendKvCacheOptions,
  appendKvCache,
  type KvCacheDType,
} from './append-kv-cache.ts';
export type {
  DecodeOptionsBase,
  DecodeResult,
  DenseDecodeOptions,
  FlashMlaWithKvCacheOptions,
  OutputDType,
  QueryDType,
  Scheduling,
  SparseDecodeOptions,
} from './decode-options.ts';
export {
  type FlashAttnVarlenOptions,
  flashAttnVarlenFunc,
  type VarlenResult,
} from './flash-attn-varlen-func.ts';
export {
  type FlashAttnWithKvCacheOptions,
  flashAttnWithKvCache,
  type KvCacheAttentionResult,
} from './flash-attn-with-kv-cache.ts';
export {
  type FlashMlaSparseFwdOptions,
  flashMlaSparseFwd,
  type SparseFwdResult,
} from './flash-mla-sparse-fwd.ts';
export { flashMlaWithKvCache } from './flash-mla-with-kv-cache.ts';
export { getMlaMetadata, type MlaMetadataOptions } from './get-mla-metadata.ts';
export {
  type DequantizeKvCacheOptions,
  dequantizeKvCache,
  type PackedKvLayout,
  type QuantizeKvCacheOptions,
  quantizeKvCache,
} from './quantize-kv-cache.ts';
export { FlashMlaSchedMeta, type SchedMetaConfig } from './sched-meta.ts';
export { TileSchedulerMetadata } from './tile-scheduler-metadata.ts';
