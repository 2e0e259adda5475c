/** Rows of a table; see src/ops/embedding. */

import { loadRow, storeRow } from '../elements';
import { enterCommand, takeItem } from '../work';

export function embedding(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  rows: i32,
  columns: i32,
  scale: f64,
  ids: usize,
  entries: u32,
  tableType: i32,
  table: usize,
  tableStride: usize,
  outType: i32,
  out: usize,
  outStride: usize,
): void {
  enterCommand(context, worker, workers);
  const row = workspace + <usize>worker * scratchBytes;
  const factor = f32x4.splat(<f32>scale);
  for (let r = takeItem(); r < rows; r = takeItem()) {
    // A negative id is large as an unsigned number.
    const id = load<u32>(ids + (<usize>r << 2));
    if (id < entries) loadRow(tableType, row, table + <usize>id * tableStride, columns);
    else memory.fill(row, 0, scratchBytes);
    if (scale != 1) {
      for (let i: usize = 0; i < <usize>columns << 2; i += 16) {
        v128.store(row + i, f32x4.mul(v128.load(row + i), factor));
      }
    }
    storeRow(outType, out + <usize>r * outStride, row, columns);
  }
}
