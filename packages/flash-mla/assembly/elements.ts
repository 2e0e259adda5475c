/** Rows of any element type ↔ float32. */

import { decodeRow } from './decode/row';
import { packBf16, encodeBf16 } from './encode';
import { E4M3, F32, Rows } from './generated/commands';

export function sizeOf(dtype: i32): usize {
  return dtype == F32 ? 4 : dtype == E4M3 ? 1 : 2;
}

/** Decodes a row of `count` elements. */
export function loadRow(dtype: i32, target: usize, source: usize, count: i32): void {
  if (dtype == F32) memory.copy(target, source, <usize>count << 2);
  else decodeRow(dtype, target, source, count);
}

/** Encodes a row of `count` elements as f32 or bf16. */
export function storeRow(dtype: i32, target: usize, source: usize, count: i32): void {
  if (dtype == F32) {
    memory.copy(target, source, <usize>count << 2);
    return;
  }
  let i: usize = 0;
  for (; i + 8 <= <usize>count; i += 8) {
    const at = source + (i << 2);
    v128.store(target + (i << 1), packBf16(v128.load(at), v128.load(at, 16)));
  }
  for (; i < <usize>count; i++) {
    store<u16>(target + (i << 1), encodeBf16(load<f32>(source + (i << 2))));
  }
}

/** Where row `r` begins. */
// @ts-ignore: decorator
@inline
export function rowAt(rows: Rows, r: i32): usize {
  return rows.address + <usize>r * rows.stride;
}

/** Decodes row `r`, of `count` elements. */
export function loadRowOf(rows: Rows, r: i32, target: usize, count: i32): void {
  loadRow(rows.type, target, rowAt(rows, r), count);
}

/** Encodes row `r`, of `count` elements as f32 or bf16. */
export function storeRowOf(rows: Rows, r: i32, source: usize, count: i32): void {
  storeRow(rows.type, rowAt(rows, r), source, count);
}

/** One element. */
// @ts-ignore: decorator
@inline
export function loadElement(dtype: i32, source: usize): f32 {
  return dtype == F32 ? load<f32>(source) : reinterpret<f32>(<u32>load<u16>(source) << 16);
}
