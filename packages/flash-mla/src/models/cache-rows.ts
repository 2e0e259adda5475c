import { type ModelConfig, ModelOptionError } from '@flash-mla/models';
import { packedRows } from '../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { ModelCacheDType } from './cache-dtype.ts';
import type { DeviceMatrix } from './device-operations.ts';

/** A layer's cache, (tokens, columns), as kernels take it: (pages, page, 1, columns). */
export function pagedCache(cache: DeviceMatrix, pageSize: number): Tensor<'bf16' | 'u8'> {
  const { 0: tokens = 0, 1: columns = 0 } = cache.shape;
  const paged: Tensor = cache.reshape([tokens / pageSize, pageSize, 1, columns]);
  return paged as Tensor<'bf16' | 'u8'>;
}

/** Whether the rows of a layer's cache are packed FP8. */
export function isPacked(cache: Tensor): cache is Tensor<'u8'> {
  return cache.dtype === 'u8';
}

/** Columns of a cache whose rows have so many values. */
export function cacheColumns(values: number, dtype: ModelCacheDType): number {
  return dtype === 'fp8' ? packedRows.v32.rowBytes : values;
}

/**
 * Packed rows have 512 values with scales and 64 without, and are attended to by indices alone. Throws
 * ModelOptionError for a model that has other rows, or no indexer.
 */
export function checkCacheRows({ attention, indexer }: ModelConfig, dtype: ModelCacheDType): void {
  if (dtype === 'bf16') return;
  const { valueColumns, ropeColumns } = packedRows.v32;
  const { kvLoraRank, ropeDim } = attention;
  const isRow = kvLoraRank === valueColumns && ropeDim === ropeColumns;
  if (isRow && indexer !== undefined) return;
  throw new ModelOptionError({
    subject: 'kvCacheDType fp8',
    expected: `a model with an indexer whose latents have ${valueColumns} + ${ropeColumns} values`,
    actual: `${kvLoraRank} + ${ropeDim} values, ${indexer ? 'an' : 'no'} indexer`,
    remedy: "Use kvCacheDType 'bf16' for this model.",
  });
}
