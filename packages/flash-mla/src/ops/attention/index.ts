/** Attention: the public functions, one file each. */

export type {
  DecodeOptionsBase,
  DecodeResult,
  DenseDecodeOptions,
  FlashMlaWithKvCacheOptions,
  OutputDType,
  QueryDType,
  Scheduling,
  SparseDecodeOptions,
} from './api/decode-options.ts';
export {
  type FlashAttnVarlenOptions,
  flashAttnVarlenFunc,
  type VarlenResult,
} from './api/flash-attn-varlen-func.ts';
export {
  type FlashAttnWithKvCacheOptions,
  flashAttnWithKvCache,
  type KvCacheAttentionResult,
} from './api/flash-attn-with-kv-cache.ts';
export {
  type FlashMlaSparseFwdOptions,
  flashMlaSparseFwd,
  type SparseFwdResult,
} from './api/flash-mla-sparse-fwd.ts';
export { flashMlaWithKvCache } from './api/flash-mla-with-kv-cache.ts';
export { getMlaMetadata, type MlaMetadataOptions } from './api/get-mla-metadata.ts';
export { FlashMlaSchedMeta, type SchedMetaConfig } from './api/sched-meta.ts';
export { TileSchedulerMetadata } from './api/tile-scheduler-metadata.ts';
