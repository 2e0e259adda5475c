import {
  decodeBf16,
  decodeE4m3,
  decodeE8m0,
  encodeBf16,
  encodeE4m3,
  encodeE8m0,
} from '@flash-mla/core';
import { type PackedRowsName, packedRows } from '../../../runtime/tensor/packed-rows.ts';

/**
 * The packed FP8 row formats, byte by byte. A row holds `headDimNope` e4m3 values with one scale per
 * `tile` of them, and 64 bf16 rope values. Source: FlashMLA's `flash_mla_interface.py`, `tests/quant.py`.
 */
export interface PackedLayout {
  readonly headDimQk: number;
  readonly headDimNope: number;
  /** Values that share a scale. */
  readonly tile: number;
  /** Bytes of a token, scales included. */
  readonly rowBytes: number;
  readonly scaleType: 'f32' | 'e8m0';
  /** Where the parts of token `offset` of a block of `page` tokens begin, in bytes. */
  nope(page: number, offset: number): number;
  scales(page: number, offset: number): number;
  rope(page: number, offset: number): number;
}

/**
 * `v32` keeps a row together: values, scales, rope. `model1` puts the scales of a block behind its rows: page ×
 * (values, rope), page × scales.
 */
function layoutOf(name: PackedRowsName): PackedLayout {
  const rows = packedRows[name];
  const { valueColumns, rowStride, scaleBytes, ropeOffset } = rows;
  const isInRow = rows.scales === 'in-row';
  return {
    headDimQk: rows.headDimQk,
    headDimNope: valueColumns,
    tile: rows.columnsPerScale,
    rowBytes: rows.rowBytes,
    scaleType: rows.scaleType,
    nope: (_page, offset) => offset * rowStride,
    scales: (page, offset) =>
      isInRow ? offset * rowStride + valueColumns : page * rowStride + offset * scaleBytes,
    rope: (_page, offset) => offset * rowStride + ropeOffset,
  };
}

export const packedLayouts = { v32: layoutOf('v32'), model1: layoutOf('model1') } as const;

/** Scales are not taken below this, so that a row of zeros does not divide by zero. */
const smallestScale = 1e-4;

/**
 * Decodes one packed row to `headDimQk` float64 values; exact: value × scale, no rounding. A device
 * computes with the same numbers where scales are powers of two that keep them normal in bf16; of
 * other `v32` scales it rounds the products, to float32 or to bf16.
 */
export function decodePackedRow(
  layout: PackedLayout,
  block: Uint8Array,
  page: number,
  offset: number,
  target: Float64Array,
  targetOffset: number,
): void {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const nope = layout.nope(page, offset);
  const rope = layout.rope(page, offset);
  const tiles = layout.headDimNope / layout.tile;
  for (let t = 0; t < tiles; t++) {
    const scale = readScale(layout, view, page, offset, t);
    for (let c = t * layout.tile; c < (t + 1) * layout.tile; c++) {
      target[targetOffset + c] = decodeE4m3(block[nope + c] as number) * scale;
    }
  }
  for (let c = layout.headDimNope; c < layout.headDimQk; c++) {
    const code = view.getUint16(rope + 2 * (c - layout.headDimNope), true);
    target[targetOffset + c] = decodeBf16(code);
  }
}

function readScale(
  layout: PackedLayout,
  view: DataView,
  page: number,
  offset: number,
  tile: number,
): number {
  const at = layout.scales(page, offset);
  return layout.scaleType === 'f32'
    ? view.getFloat32(at + 4 * tile, true)
    : decodeE8m0(view.getUint8(at + tile));
}

/**
 * Encodes one row: the scale of a tile is the smallest power of two ≥ max(max|value| / 448, 1e-4), so
 * at least 2^-13; values are rounded to nearest even; rope values become bf16. Bytes that carry nothing are 0.
 */
export function encodePackedRow(
  layout: PackedLayout,
  row: Float64Array,
  block: Uint8Array,
  page: number,
  offset: number,
): void {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const nope = layout.nope(page, offset);
  const scales = layout.scales(page, offset);
  const rope = layout.rope(page, offset);
  const tiles = layout.headDimNope / layout.tile;
  for (let t = 0; t < tiles; t++) {
    const values = row.subarray(t * layout.tile, (t + 1) * layout.tile);
    const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const code = encodeE8m0(Math.max(largest / 448, smallestScale));
    const scale = decodeE8m0(code);
    if (layout.scaleType === 'f32') view.setFloat32(scales + 4 * t, scale, true);
    else view.setUint8(scales + t, code);
    for (let c = 0; c < layout.tile; c++) {
      block[nope + t * layout.tile + c] = encodeE4m3((values[c] as number) / scale);
    }
  }
  if (layout.scaleType === 'e8m0') view.setUint8(scales + tiles, 0);
  for (let c = layout.headDimNope; c < layout.headDimQk; c++) {
    view.setUint16(rope + 2 * (c - layout.headDimNope), encodeBf16(row[c] as number), true);
  }
}
