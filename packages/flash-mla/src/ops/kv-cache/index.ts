/** The KV cache: the public functions, and what other families need to know of its rows. */

export {
  type AppendKvCacheOptions,
  appendKvCache,
  type KvCacheDType,
} from './api/append-kv-cache.ts';
export { checkSparseCache, kvRowLayout } from './api/kv-rows.ts';
export {
  type DequantizeKvCacheOptions,
  dequantizeKvCache,
  type PackedKvLayout,
  type QuantizeKvCacheOptions,
  quantizeKvCache,
} from './api/quantize-kv-cache.ts';
