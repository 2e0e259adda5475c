/** bf16 rows ↔ packed FP8 rows. Scales are powers of two. */

import { MODEL1_DIMS, V32, V32_DIMS } from '../generated/kernel-lib';
import { DequantizeRows, QuantizeRows } from '../generated/kv-cache';
import { packRows, unpackRows } from './pack-rows';

/** Rows that one item handles. */
const CHUNK: i32 = 64;

/** Packs contiguous rows of bf16. */
export function quantizeRows(command: QuantizeRows): void {
  const rows = command.numRows;
  const page = command.pageSize;
  const layout = command.layout;
  const rowBytes = (layout == V32 ? V32_DIMS : MODEL1_DIMS) << 1;
  const scratch = command.scratch(command.scratchBytes);
  for (let item = command.takeItem(); item < (rows + CHUNK - 1) / CHUNK; item = command.takeItem()) {
    const end = min(rows, (item + 1) * CHUNK);
    for (let row = item * CHUNK; row < end; ) {
      // As many as lie in one block.
      const count = min(end - row, page - row % page);
      const from = command.source + <usize>row * rowBytes;
      const block = command.target + <usize>(row / page) * command.blockStride;
      packRows(scratch, layout, from, rowBytes, count, block, page, row % page, command.tokenStride);
      row += count;
    }
  }
}

/** Unpacks rows to contiguous bf16. */
export function dequantizeRows(command: DequantizeRows): void {
  const rows = command.numRows;
  const page = command.pageSize;
  const layout = command.layout;
  const rowBytes = (layout == V32 ? V32_DIMS : MODEL1_DIMS) << 1;
  const scratch = command.scratch(command.scratchBytes);
  for (let item = command.takeItem(); item < (rows + CHUNK - 1) / CHUNK; item = command.takeItem()) {
    const end = min(rows, (item + 1) * CHUNK);
    for (let row = item * CHUNK; row < end; ) {
      const count = min(end - row, page - row % page);
      const to = command.target + <usize>row * rowBytes;
      const block = command.source + <usize>(row / page) * command.blockStride;
      unpackRows(scratch, layout, to, rowBytes, count, block, page, row % page, command.tokenStride);
      row += count;
    }
  }
}
