import {
  decodeInto,
  encodeBf16,
  extents,
  type HostTensor,
  InvalidArgumentError,
} from '@flash-mla/core';
import { decodePackedRow, encodePackedRow, packedLayouts } from './packed-rows.ts';

/** bf16 rows (blocks, page, 1, dQk) → packed FP8 rows, u8 (blocks, page, 1, rowBytes). */
export function quantizeKvCache(
  source: HostTensor,
  layout: keyof typeof packedLayouts,
): HostTensor<'u8'> {
  const packed = packedLayouts[layout];
  const [blocks, page, heads, d] = extents('kCache', source, 4) as [number, number, number, number];
  checkWidth(layout, 'columns', packed.headDimQk, heads * d);
  const data = new Uint8Array(blocks * page * packed.rowBytes);
  const row = new Float64Array(d);
  for (let i = 0; i < blocks * page; i++) {
    decodeInto(source, i * d, d, row, 0);
    encodePackedRow(packed, row, blockOf(data, packed.rowBytes, page, i), page, i % page);
  }
  return { dtype: 'u8', shape: [blocks, page, 1, packed.rowBytes], data };
}

/** Packed FP8 rows, u8 (blocks, page, 1, rowBytes) → bf16 rows (blocks, page, 1, dQk), nearest even. */
export function dequantizeKvCache(
  source: HostTensor<'u8'>,
  layout: keyof typeof packedLayouts,
): HostTensor<'bf16'> {
  const packed = packedLayouts[layout];
  const [blocks, page, heads, width] = extents('kCache', source, 4) as [
    number,
    number,
    number,
    number,
  ];
  checkWidth(layout, 'bytes', packed.rowBytes, heads * width);
  const d = packed.headDimQk;
  const data = new Uint16Array(blocks * page * d);
  const row = new Float64Array(d);
  for (let i = 0; i < blocks * page; i++) {
    decodePackedRow(packed, blockOf(source.data, width, page, i), page, i % page, row, 0);
    for (let c = 0; c < d; c++) data[i * d + c] = encodeBf16(row[c] as number);
  }
  return { dtype: 'bf16', shape: [blocks, page, 1, d], data };
}

function blockOf(data: Uint8Array, rowBytes: number, page: number, token: number): Uint8Array {
  const begin = Math.floor(token / page) * page * rowBytes;
  return data.subarray(begin, begin + page * rowBytes);
}

function checkWidth(layout: string, unit: string, expected: number, actual: number): void {
  if (actual === expected) return;
  throw new InvalidArgumentError(
    'kCache',
    `${expected} ${unit} a row for '${layout}'`,
    `${actual}`,
  );
}
