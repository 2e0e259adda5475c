/** The largest logits of rows, exactly; see src/ops/indexer. */

import { enterCommand, takeItem } from '../work';

/** Digits by which values are compared, from the highest on: 11, 11 and 10 bits. */
const BINS: u32 = 2048;

/** Integers that are ordered as floats are; NaN is as small as −∞, and −0 is 0. */
// @ts-ignore: decorator
@inline
function orderOf(at: usize): u32 {
  const value = load<f32>(at);
  const bits = reinterpret<u32>(value == value ? value + 0 : -Infinity);
  return bits ^ (<u32>(<i32>bits >> 31) | 0x80000000);
}

export function indexTopK(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  rows: i32,
  columns: i32,
  topK: i32,
  logits: usize,
  logitsStride: usize,
  starts: usize,
  ends: usize,
  blockTable: usize,
  tableStride: usize,
  tableWidth: i32,
  pageSize: i32,
  queries: i32,
  indices: usize,
): void {
  enterCommand(context, worker, workers);
  const histogram = workspace + <usize>worker * scratchBytes;
  for (let row = takeItem(); row < rows; row = takeItem()) {
    const start = starts == 0 ? 0 : max(0, load<i32>(starts + (<usize>row << 2)));
    const end = min(columns, load<i32>(ends + (<usize>row << 2)));
    const count = max(0, end - start);
    const first = logits + <usize>row * logitsStride + (<usize>start << 2);
    const out = indices + ((<usize>row * topK) << 2);
    let prefix: u32 = 0;
    let equal = topK;
    if (count > topK) {
      let shift: u32 = 32;
      for (let digit = 0; digit < 3; digit++) {
        const bits: u32 = digit == 2 ? 10 : 11;
        const isFirst = shift == 32;
        const above = shift;
        shift -= bits;
        memory.fill(histogram, 0, <usize>BINS << 2);
        for (let i: usize = 0; i < <usize>count; i++) {
          const order = orderOf(first + (i << 2));
          if (!isFirst && order >> above != prefix) continue;
          const bin = histogram + (<usize>((order >> shift) & ((1 << bits) - 1)) << 2);
          store<u32>(bin, load<u32>(bin) + 1);
        }
        let bin: u32 = (1 << bits) - 1;
        while (true) {
          const own = load<i32>(histogram + (<usize>bin << 2));
          if (own >= equal) break;
          equal -= own;
          bin--;
        }
        prefix = (prefix << bits) | bin;
      }
    }
    const pages = blockTable + <usize>(row / queries) * tableStride;
    let chosen: usize = 0;
    for (let i = 0; i < count && chosen < <usize>topK; i++) {
      const order = orderOf(first + (<usize>i << 2));
      if (order < prefix) continue;
      if (order == prefix && equal-- <= 0) continue;
      let place = i;
      if (blockTable != 0) {
        const number = i / pageSize;
        const page = number < tableWidth ? load<i32>(pages + (<usize>number << 2)) : -1;
        place = page < 0 ? -1 : page * pageSize + (i % pageSize);
      }
      store<i32>(out + (chosen << 2), place);
      chosen++;
    }
    memory.fill(out + (chosen << 2), 0xff, (<usize>topK - chosen) << 2);
  }
}
