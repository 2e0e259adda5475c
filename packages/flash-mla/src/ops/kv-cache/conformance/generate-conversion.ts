import { encodeBf16 } from '@flash-mla/core';
import type { Random } from '../../conformance/suite/random.ts';
import { packedLayouts } from '../reference/index.ts';
import type { ConversionParams } from './params.ts';
import type { DequantizeKvCache, QuantizeKvCache } from './problems.ts';

/** Finite rows of every size: zeros, values that saturate the smallest scale, large ones. */
export function generateQuantize(params: ConversionParams, random: Random): QuantizeKvCache {
  const { layout, blocks, page } = params;
  const { headDimQk } = packedLayouts[layout];
  const data = new Uint16Array(blocks * page * headDimQk);
  for (let row = 0; row < blocks * page; row++) {
    const size = row % 7 === 0 ? 0 : 10 ** random.integer(-6, 4);
    for (let c = 0; c < headDimQk; c++) {
      data[row * headDimQk + c] = encodeBf16(random.normal() * size);
    }
  }
  const kCache = { dtype: 'bf16', shape: [blocks, page, 1, headDimQk], data } as const;
  return { op: 'quantize', layout, kCache };
}

/** Every e4m3 code, NaN included, under scales from 2^-30 to 2^20. */
export function generateDequantize(params: ConversionParams, random: Random): DequantizeKvCache {
  const { layout, blocks, page } = params;
  const rows = packedLayouts[layout];
  const data = new Uint8Array(blocks * page * rows.rowBytes);
  const view = new DataView(data.buffer);
  for (let i = 0; i < blocks * page; i++) {
    const block = Math.floor(i / page) * page * rows.rowBytes;
    const [nope, rope] = [rows.nope(page, i % page), rows.rope(page, i % page)];
    for (let c = 0; c < rows.headDimNope; c++) data[block + nope + c] = random.integer(0, 255);
    for (let c = 0; c < 64; c++) {
      view.setUint16(block + rope + 2 * c, encodeBf16(random.normal()), true);
    }
    const at = block + rows.scales(page, i % page);
    for (let tile = 0; tile * rows.tile < rows.headDimNope; tile++) {
      const exponent = random.integer(-30, 20);
      if (layout === 'model1') view.setUint8(at + tile, exponent + 127);
      else view.setFloat32(at + 4 * tile, (1 + random.uniform()) * 2 ** exponent, true);
    }
  }
  const kCache = { dtype: 'u8', shape: [blocks, page, 1, rows.rowBytes], data } as const;
  return { op: 'dequantize', layout, kCache };
}
