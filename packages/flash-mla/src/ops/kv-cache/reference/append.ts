import { decodeInto, extents, type HostTensor, InvalidArgumentError } from '@flash-mla/core';
import { encodePackedRow, packedLayouts } from './packed-rows.ts';

/** Arguments of {@link appendKvCache}. */
export interface AppendProblem {
  /** `plain`: rows are copied. */
  readonly layout: 'v32' | 'model1' | 'plain';
  /** (blocks, page, hKv, dQk), or u8 (blocks, page, 1, rowBytes) without padding. */
  readonly kCache: HostTensor;
  /** (n, hKv, dQk): bf16 for packed rows, else the dtype of the cache. */
  readonly rows: HostTensor;
  /** i32 or i64 (n): block·page + offset; anything outside the cache is skipped. */
  readonly slots: HostTensor<'i32'> | HostTensor<'i64'>;
}

/** The cache with rows written to the tokens that slots name; of rows with the same slot, the last. */
export function appendKvCache({ layout, kCache, rows, slots }: AppendProblem): HostTensor {
  const [blocks, page, heads, width] = extents('kCache', kCache, 4) as Extents;
  const [count, rowHeads, columns] = extents('rows', rows, 3) as [number, number, number];
  const expected = layout === 'plain' ? width : packedLayouts[layout].headDimQk;
  if (rowHeads !== heads || columns !== expected || slots.data.length !== count) {
    throw new InvalidArgumentError(
      'rows',
      `shape (${slots.data.length}, ${heads}, ${expected})`,
      `(${rows.shape.join(', ')})`,
    );
  }
  const data = kCache.data.slice();
  const row = new Float64Array(columns);
  for (let i = 0; i < count; i++) {
    const slot = Number(slots.data[i]);
    if (slot < 0 || slot >= blocks * page) continue;
    const begin = i * heads * columns;
    if (layout === 'plain') {
      // Both have the storage type of one dtype, which TypeScript cannot follow.
      data.set(rows.data.subarray(begin, begin + heads * columns) as never, slot * heads * width);
      continue;
    }
    decodeInto(rows, begin, columns, row, 0);
    const first = Math.floor(slot / page) * page * width;
    const block = (data as Uint8Array).subarray(first, first + page * width);
    encodePackedRow(packedLayouts[layout], row, block, page, slot % page);
  }
  return { ...kCache, data };
}

type Extents = [number, number, number, number];
