/** Rotary position embedding; see src/ops/rope. */

import { loadRow, storeRow } from '../elements';
import { enterCommand, takeItem } from '../work';

/** `positions` may be 0: row i has position i. Rows beyond the tables are only copied. */
export function applyRope(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  rows: i32,
  heads: i32,
  dim: i32,
  interleaved: i32,
  cos: usize,
  sin: usize,
  known: u32,
  positions: usize,
  xType: i32,
  x: usize,
  xStride: usize,
  xHeadStride: usize,
  outType: i32,
  out: usize,
  outStride: usize,
  outHeadStride: usize,
): void {
  enterCommand(context, worker, workers);
  const row = workspace + <usize>worker * scratchBytes;
  const half = <usize>dim >> 1;
  // Bytes from a pair to the next, and from the first of a pair to the second.
  const step: usize = interleaved ? 8 : 4;
  const apart: usize = interleaved ? 4 : half << 2;
  for (let r = takeItem(); r < rows; r = takeItem()) {
    const position = positions == 0 ? <u32>r : load<u32>(positions + (<usize>r << 2));
    const skip = (<usize>position * half) << 2;
    for (let head: usize = 0; head < <usize>heads; head++) {
      loadRow(xType, row, x + <usize>r * xStride + head * xHeadStride, dim);
      if (position < known) {
        for (let i: usize = 0; i < half; i++) {
          const c = load<f32>(cos + skip + (i << 2));
          const s = load<f32>(sin + skip + (i << 2));
          const at = row + i * step;
          const a = load<f32>(at);
          const b = load<f32>(at + apart);
          store<f32>(at, a * c - b * s);
          store<f32>(at + apart, a * s + b * c);
        }
      }
      storeRow(outType, out + <usize>r * outStride + head * outHeadStride, row, dim);
    }
  }
}
