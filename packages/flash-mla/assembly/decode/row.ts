import { BF16, F16 } from '../generated/commands';
import { decodeBf16 } from './bf16';
import { decodeE4m3 } from './e4m3';
import { decodeF16 } from './f16';

/** Decodes one row of `count` elements to float32. */
export function decodeRow(dtype: i32, target: usize, source: usize, count: i32): void {
  if (dtype == BF16) decodeBf16(target, source, count);
  else if (dtype == F16) decodeF16(target, source, count);
  else decodeE4m3(target, source, count, 1);
}

/** Decodes `rows` rows that lie `sourceStride` bytes apart. */
export function decodeRows(
  dtype: i32,
  target: usize,
  targetStride: usize,
  source: usize,
  sourceStride: usize,
  rows: i32,
  count: i32,
): void {
  for (let i = 0; i < rows; i++) {
    decodeRow(dtype, target, source, count);
    target += targetStride;
    source += sourceStride;
  }
}
