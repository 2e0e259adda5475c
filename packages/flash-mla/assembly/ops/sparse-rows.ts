/** The row formats of a sparse cache, decoded to float32. */

import { decodeBf16 } from '../decode/bf16';
import { decodeE4m3 } from '../decode/e4m3';
import {
  MODEL1,
  MODEL1_COLUMNS_PER_SCALE,
  MODEL1_ROPE_COLUMNS,
  MODEL1_ROPE_OFFSET,
  MODEL1_ROW_STRIDE,
  MODEL1_SCALE_BYTES,
  MODEL1_VALUE_COLUMNS,
  V32,
  V32_COLUMNS_PER_SCALE,
  V32_ROPE_COLUMNS,
  V32_ROPE_OFFSET,
  V32_VALUE_COLUMNS,
} from '../generated/kernel-lib';

/** 2^(code − 127); 255 is NaN. */
// @ts-ignore: decorator
@inline
export function decodeE8m0(code: u8): f32 {
  if (code == 255) return f32.NaN;
  // Code 0 is a subnormal float32.
  return reinterpret<f32>(code == 0 ? 0x400000 : <u32>code << 23);
}

/** Where row `offset` of a block of model1 rows begins. */
// @ts-ignore: decorator
@inline
export function model1RowAt(block: usize, offset: usize): usize {
  return block + offset * MODEL1_ROW_STRIDE;
}

/** Where its scales begin: behind all rows of the block. */
// @ts-ignore: decorator
@inline
export function model1ScalesAt(block: usize, page: usize, offset: usize): usize {
  return block + page * MODEL1_ROW_STRIDE + offset * MODEL1_SCALE_BYTES;
}

/** Decodes token `offset` of the block at `block`. `rowBytes`: from token to token. */
export function decodeSparseRow(
  layout: i32,
  target: usize,
  block: usize,
  offset: usize,
  rowBytes: usize,
  page: i32,
  dims: i32,
): void {
  if (layout == V32) {
    const row = block + offset * rowBytes;
    let scales = row + V32_VALUE_COLUMNS;
    for (let c: usize = 0; c < V32_VALUE_COLUMNS; c += V32_COLUMNS_PER_SCALE) {
      decodeE4m3(target + (c << 2), row + c, <i32>V32_COLUMNS_PER_SCALE, load<f32>(scales));
      scales += 4;
    }
    const rope = target + (V32_VALUE_COLUMNS << 2);
    decodeBf16(rope, row + V32_ROPE_OFFSET, <i32>V32_ROPE_COLUMNS);
  } else if (layout == MODEL1) {
    const row = model1RowAt(block, offset);
    let scales = model1ScalesAt(block, page, offset);
    for (let c: usize = 0; c < MODEL1_VALUE_COLUMNS; c += MODEL1_COLUMNS_PER_SCALE) {
      const scale = decodeE8m0(load<u8>(scales));
      decodeE4m3(target + (c << 2), row + c, <i32>MODEL1_COLUMNS_PER_SCALE, scale);
      scales++;
    }
    const rope = target + (MODEL1_VALUE_COLUMNS << 2);
    decodeBf16(rope, row + MODEL1_ROPE_OFFSET, <i32>MODEL1_ROPE_COLUMNS);
  } else {
    decodeBf16(target, block + offset * rowBytes, dims);
  }
}
