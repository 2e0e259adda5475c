/** Rows → the tokens of a paged cache that slots name. */

import { enterCommand, takeItem } from '../work';
import { quantizeModel1, quantizeV32 } from './quantize';
import { BF16_ROWS, V32 } from './sparse-rows';

/** Rows that one item handles. */
const CHUNK: i32 = 16;

/**
 * Row i goes to slot i, block · page + offset; a slot outside the cache's `capacity` tokens is skipped.
 * All strides are bytes. A row without a packed format is copied as it is, head by head.
 */
export function appendRows(
  context: usize,
  worker: i32,
  workers: i32,
  _workspace: usize,
  layout: i32,
  count: i32,
  heads: i32,
  rowBytes: usize,
  rows: usize,
  rowStride: usize,
  rowHeadStride: usize,
  slots: usize,
  slotBytes: usize,
  cache: usize,
  capacity: u32,
  page: u32,
  blockStride: usize,
  tokenStride: usize,
  headStride: usize,
): void {
  enterCommand(context, worker, workers);
  const items = (count + CHUNK - 1) / CHUNK;
  for (let item = takeItem(); item < items; item = takeItem()) {
    for (let i = item * CHUNK; i < min(count, (item + 1) * CHUNK); i++) {
      const at = slots + <usize>i * slotBytes;
      // A negative slot is large as an unsigned number.
      const slot = load<u32>(at);
      if (slot >= capacity || (slotBytes == 8 && load<u32>(at, 4) != 0)) continue;
      const from = rows + <usize>i * rowStride;
      const block = cache + <usize>(slot / page) * blockStride;
      const offset = <usize>(slot % page);
      if (layout == BF16_ROWS) {
        const to = block + offset * tokenStride;
        for (let h: usize = 0; h < <usize>heads; h++) {
          memory.copy(to + h * headStride, from + h * rowHeadStride, rowBytes);
        }
      } else if (layout == V32) {
        quantizeV32(from, block + offset * tokenStride);
      } else {
        const scales = block + <usize>page * 576 + (offset << 3);
        quantizeModel1(from, block + offset * 576, scales);
      }
    }
  }
}
