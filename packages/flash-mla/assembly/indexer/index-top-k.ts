/** The largest logits of rows, exactly; see src/ops/indexer. */

import { IndexTopK } from '../generated/indexer';

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

export function indexTopK(command: IndexTopK): void {
  const topK = command.topK;
  const starts = command.starts;
  const blockTable = command.blockTable;
  const pageSize = command.pageSize;
  const histogram = command.scratch(command.scratchBytes);
  for (let row = command.takeItem(); row < command.numRows; row = command.takeItem()) {
    const start = starts == 0 ? 0 : max(0, load<i32>(starts + (<usize>row << 2)));
    const end = min(command.columns, load<i32>(command.ends + (<usize>row << 2)));
    const count = max(0, end - start);
    const first = command.logits + <usize>row * command.logitsStride + (<usize>start << 2);
    const out = command.indices + ((<usize>row * topK) << 2);
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
    const pages = blockTable + <usize>(row / command.queriesPerRequest) * command.tableStride;
    let chosen: usize = 0;
    for (let i = 0; i < count && chosen < <usize>topK; i++) {
      const order = orderOf(first + (<usize>i << 2));
      if (order < prefix) continue;
      if (order == prefix && equal-- <= 0) continue;
      let place = i;
      if (blockTable != 0) {
        const number = i / pageSize;
        const page = number < command.tableWidth ? load<i32>(pages + (<usize>number << 2)) : -1;
        place = page < 0 ? -1 : page * pageSize + (i % pageSize);
      }
      store<i32>(out + (chosen << 2), place);
      chosen++;
    }
    memory.fill(out + (chosen << 2), 0xff, (<usize>topK - chosen) << 2);
  }
}
