/** The row formats of a sparse cache, decoded to float32. */

import { decodeBf16 } from '../decode/bf16';
import { decodeE4m3 } from '../decode/e4m3';
import { MODEL1, V32 } from '../generated/kernel-lib';

/** Value bytes of a model1 token; its scales lie behind all values of the block. */
export const MODEL1_VALUES: usize = 576;

/** 2^(code − 127); 255 is NaN. */
// @ts-ignore: decorator
@inline
export function decodeE8m0(code: u8): f32 {
  if (code == 255) return f32.NaN;
  // Code 0 is a subnormal float32.
  return reinterpret<f32>(code == 0 ? 0x400000 : <u32>code << 23);
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
    for (let g: usize = 0; g < 4; g++) {
      decodeE4m3(target + (g << 9), row + (g << 7), 128, load<f32>(row + 512 + (g << 2)));
    }
    decodeBf16(target + 2048, row + 528, 64);
  } else if (layout == MODEL1) {
    const row = block + offset * MODEL1_VALUES;
    const scales = block + <usize>page * MODEL1_VALUES + (offset << 3);
    for (let g: usize = 0; g < 7; g++) {
      decodeE4m3(target + (g << 8), row + (g << 6), 64, decodeE8m0(load<u8>(scales + g)));
    }
    decodeBf16(target + 1792, row + 448, 64);
  } else {
    decodeBf16(target, block + offset * rowBytes, dims);
  }
}
