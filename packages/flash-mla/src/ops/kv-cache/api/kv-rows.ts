import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkExtent,
  checkInnerStride,
  checkNotEmpty,
  shapeText,
} from '../../../runtime/operation/arguments.ts';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import { Tensor } from '../../../runtime/tensor/tensor.ts';
import { cutBlocksError } from '../../../runtime/tensor/whole-blocks.ts';
import type { KvRowLayout } from '../../kernel-lib/row-layout.ts';

/** Indices into a cache are i32. */
export const maxTokens = 2 ** 31 - 1;

/** The row format that a sparse cache's dtype and row width announce. Checks the width. */
export function kvRowLayout(name: string, kCache: Tensor): KvRowLayout {
  if (kCache.dtype === 'bf16') return 'bf16';
  const width = kCache.shape[3];
  if (kCache.dtype === 'u8') {
    if (width === packedRows.v32.rowBytes) return 'v32';
    if (width === packedRows.model1.rowBytes) return 'model1';
    throw new InvalidArgumentError(
      `${name}.shape[3]`,
      `${packedRows.v32.rowBytes} bytes a row (v32) or ${packedRows.model1.rowBytes} (model1)`,
      shapeText(kCache),
    );
  }
  throw new InvalidArgumentError(
    name,
    'dtype bf16, or u8 for packed FP8 rows',
    kCache.dtype,
    'quantizeKvCache() packs bf16 rows.',
  );
}

/** Shape (blocks, page, 1, width) and strides of a sparse cache, as the backend contract has them. */
export function checkSparseCache(
  name: string,
  kCache: Tensor,
  layout: KvRowLayout,
  headDimQk: number,
): void {
  checkNotEmpty(name, kCache, 1);
  checkExtent(name, kCache, 2, 1, 'KV heads of a sparse cache');
  checkInnerStride(name, kCache);
  const [blocks = 0, page = 0] = kCache.shape;
  if (blocks * page > maxTokens) {
    throw new InvalidArgumentError(name, `at most ${maxTokens} tokens`, shapeText(kCache));
  }
  if (layout === 'bf16') {
    checkExtent(name, kCache, 3, headDimQk, 'dQk of q');
    return;
  }
  checkPackedRows(name, kCache, layout);
  const rows = packedRows[layout];
  if (headDimQk !== rows.headDimQk) {
    throw new InvalidArgumentError(
      'q.shape[3]',
      `${rows.headDimQk} columns for a cache of ${rows.rowBytes} bytes a row (${layout})`,
      `${headDimQk}`,
    );
  }
}

/**
 * Strides and alignment of packed rows: a kernel reads scales and rope values from them in words. A view
 * of part of the tokens of a `model1` block is refused; `v32` rows stand for themselves.
 */
export function checkPackedRows(name: string, kCache: Tensor, layout: 'v32' | 'model1'): void {
  const cut = layout === 'model1' ? Tensor.cutBlocks(kCache) : undefined;
  if (cut !== undefined) throw cutBlocksError(name, cut, kCache);
  const [blocks = 0, page = 0] = kCache.shape;
  const [blockStride = 0, rowStride = 0] = kCache.strides;
  const { rowBytes, alignment } = packedRows[layout];
  const isModel1 = layout === 'model1';
  const block = isModel1 || page < 2 ? page * rowBytes : (page - 1) * rowStride + rowBytes;
  const rowsFit = page < 2 || (isModel1 ? rowStride === rowBytes : rowStride >= rowBytes);
  const blocksFit = blocks < 2 || blockStride >= block;
  const aligned =
    kCache.byteOffset % alignment === 0 &&
    (page < 2 || isModel1 || rowStride % alignment === 0) &&
    (blocks < 2 || blockStride % alignment === 0);
  if (rowsFit && blocksFit && aligned) return;
  throw new InvalidArgumentError(
    `${name}.strides`,
    `${layout} rows of ${rowBytes} bytes in blocks of at least ${block}, all at multiples of ${alignment}`,
    `strides (${kCache.strides.join(', ')}) at byte ${kCache.byteOffset}`,
  );
}
