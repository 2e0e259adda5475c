import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkDisjoint,
  checkExtent,
  checkInnerStride,
  checkNotEmpty,
  checkOperand,
  checkTensor,
  checkVector,
  optionNames,
  readOptions,
  shapeText,
  show,
} from '../../../runtime/operation/arguments.ts';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { Tensor, TensorHost } from '../../../runtime/tensor/tensor.ts';
import type { AppendArgs } from '../contract.ts';
import { appendRows } from '../operations.ts';
import { checkPackedRows, kvRowLayout, maxTokens } from './kv-rows.ts';
import type { PackedKvLayout } from './quantize-kv-cache.ts';

/** Dtypes of a cache that rows are appended to; `u8`: packed FP8 rows. */
export type KvCacheDType = 'bf16' | 'f16' | 'e4m3' | 'u8';

/** Arguments of {@link appendKvCache}. */
export interface AppendKvCacheOptions<C extends KvCacheDType = KvCacheDType> {
  /**
   * The cache to write to: bf16, f16 or e4m3 (blocks, page, hKv, dQk), or u8 (blocks, page, 1, 656)
   * `v32`, u8 (blocks, page, 1, 584) `model1`. Blocks and tokens may be padded.
   */
  readonly kCache: Tensor<C>;
  /**
   * (n, hKv, dQk), or (n, dQk) where hKv is 1; any outer strides. bf16 for packed rows, else the dtype
   * of the cache. n may be 0.
   */
  readonly rows: Tensor<C extends 'u8' ? 'bf16' : NoInfer<C>>;
  /** i32 or i64 (n): block·page + offset. −1 and anything else outside the cache is skipped. */
  readonly slots: Tensor<'i32'> | Tensor<'i64'>;
  /** Says again what the dtype and, packed, the width of the cache say. */
  readonly layout?: (C extends 'u8' ? PackedKvLayout : NoInfer<C>) | null | undefined;
}

const known = optionNames<keyof AppendKvCacheOptions>('kCache', 'rows', 'slots', 'layout');

/**
 * Writes rows to a paged cache in place, row i to slot i: what comes before decoding in every step, and
 * after a prefill. Packed rows are quantised, bit for bit as `quantizeKvCache` does it; others are
 * copied. Only enqueues, and may be recorded by `device.capture`: slots and rows may change between
 * replays. Returns `kCache`.
 *
 * A slot that occurs twice leaves one of its rows there or a mixture of them. `rows` may lie in the
 * cache, so that tokens are copied from slot to slot, if no row is both read and written.
 *
 * Source: vLLM's `concat_and_cache_mla`, whose `slot_mapping` is `slots`, for rows that are whole.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError}.
 */
export function appendKvCache<C extends KvCacheDType>(options: AppendKvCacheOptions<C>): Tensor<C> {
  const given = readOptions(options, known);
  const kCache: Tensor<C> = given.kCache;
  checkTensor('kCache', kCache, 4);
  const { device } = kCache;
  const layout = checkCache(kCache, given.layout);
  const rows = checkRows(given.rows, kCache, layout, device);
  const slots: unknown = given.slots;
  const dtype = (slots as Tensor | null | undefined)?.dtype === 'i64' ? 'i64' : 'i32';
  const [n = 0] = rows.shape;
  checkVector('slots', slots, dtype, device, n, 'n of rows');
  if (n > 0) device.backend.run(appendRows, { layout, rows, slots, kCache });
  return kCache;
}

/** The layout of a cache, which must be one that can be written to. */
function checkCache(kCache: Tensor, given: unknown): AppendArgs['layout'] {
  const { dtype } = kCache;
  checkNotEmpty('kCache', kCache);
  checkInnerStride('kCache', kCache);
  const [blocks = 0, page = 0] = kCache.shape;
  if (blocks * page > maxTokens) {
    throw new InvalidArgumentError('kCache', `at most ${maxTokens} tokens`, shapeText(kCache));
  }
  if (dtype === 'bf16' || dtype === 'f16' || dtype === 'e4m3') {
    checkLayout(given, dtype, dtype);
    checkDisjoint('kCache', kCache);
    return 'plain';
  }
  if (dtype !== 'u8') {
    throw new InvalidArgumentError(
      'kCache',
      'dtype bf16, f16 or e4m3, or u8 for packed FP8 rows',
      dtype,
    );
  }
  const layout = kvRowLayout('kCache', kCache) as PackedKvLayout;
  checkLayout(given, layout, `rows of ${packedRows[layout].rowBytes} bytes`);
  checkExtent('kCache', kCache, 2, 1, 'KV heads of packed rows');
  checkPackedRows('kCache', kCache, layout);
  return layout;
}

function checkLayout(given: unknown, layout: string, what: string): void {
  if (given === undefined || given === null || given === layout) return;
  throw new InvalidArgumentError('layout', `'${layout}' for a cache of ${what}`, show(given));
}

/** Rows as (n, hKv, dQk). */
function checkRows(
  rows: unknown,
  kCache: Tensor,
  layout: AppendArgs['layout'],
  device: TensorHost,
): Tensor {
  const [, , heads = 0, width = 0] = kCache.shape;
  const isPlain = layout === 'plain';
  const dtype = isPlain ? kCache.dtype : 'bf16';
  const columns = isPlain ? width : packedRows[layout].headDimQk;
  const rank = heads === 1 && (rows as Tensor | null | undefined)?.shape?.length === 2 ? 2 : 3;
  checkOperand('rows', rows, rank, dtype, device);
  checkExtent('rows', rows, rank - 1, columns, isPlain ? 'dQk of kCache' : `columns of ${layout}`);
  if (rank === 3) checkExtent('rows', rows, 1, heads, 'KV heads of kCache');
  checkInnerStride('rows', rows);
  const [n = 0] = rows.shape;
  if (n * heads > maxTokens) {
    throw new InvalidArgumentError('rows', `at most ${maxTokens} rows`, shapeText(rows));
  }
  if (rank === 3) return rows;
  const [stride = 0] = rows.strides;
  return rows.asStrided([n, 1, columns], [stride, columns, 1]);
}
