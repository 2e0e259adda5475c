/** Element by element: SwiGLU, and rows added to others; see src/ops/activation. */

import { loadRow, sizeOf, storeRow } from '../elements';
import { LOG2E } from '../scalar';
import { exp2v, fma } from '../simd';
import { enterCommand, takeItem } from '../work';

/** Rows that one item handles. */
const CHUNK: i32 = 4;

/** Four values of silu: g / (1 + e^-g), by the power that does not overflow. */
// @ts-ignore: decorator
@inline
function silu(g: v128): v128 {
  const magnitude = f32x4.abs(g);
  const e = exp2v(f32x4.mul(magnitude, f32x4.splat(-(<f32>LOG2E))));
  const isNegative = f32x4.lt(g, f32x4.splat(0));
  const numerator = v128.bitselect(f32x4.mul(g, e), g, isNegative);
  return f32x4.div(numerator, f32x4.add(f32x4.splat(1), e));
}

/** gate = silu(gate) · up, for `count` float32 padded to whole vectors. */
export function gateRow(gate: usize, up: usize, count: i32): void {
  for (let i: usize = 0; i < <usize>count << 2; i += 16) {
    v128.store(gate + i, f32x4.mul(silu(v128.load(gate + i)), v128.load(up + i)));
  }
}

export function swiGlu(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  rows: i32,
  columns: i32,
  xType: i32,
  x: usize,
  xStride: usize,
  outType: i32,
  out: usize,
  outStride: usize,
): void {
  enterCommand(context, worker, workers);
  const gate = workspace + <usize>worker * scratchBytes;
  const up = gate + scratchBytes / 2;
  const skip = <usize>columns * sizeOf(xType);
  const items = (rows + CHUNK - 1) / CHUNK;
  for (let item = takeItem(); item < items; item = takeItem()) {
    for (let r = item * CHUNK; r < min(rows, (item + 1) * CHUNK); r++) {
      const from = x + <usize>r * xStride;
      loadRow(xType, gate, from, columns);
      loadRow(xType, up, from + skip, columns);
      gateRow(gate, up, columns);
      storeRow(outType, out + <usize>r * outStride, gate, columns);
    }
  }
}

export function addScaled(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  rows: i32,
  columns: i32,
  scale: f64,
  xType: i32,
  x: usize,
  xStride: usize,
  targetType: i32,
  target: usize,
  targetStride: usize,
): void {
  enterCommand(context, worker, workers);
  const row = workspace + <usize>worker * scratchBytes;
  const added = row + scratchBytes / 2;
  const factor = f32x4.splat(<f32>scale);
  const items = (rows + CHUNK - 1) / CHUNK;
  for (let item = takeItem(); item < items; item = takeItem()) {
    for (let r = item * CHUNK; r < min(rows, (item + 1) * CHUNK); r++) {
      const place = target + <usize>r * targetStride;
      loadRow(targetType, row, place, columns);
      loadRow(xType, added, x + <usize>r * xStride, columns);
      for (let i: usize = 0; i < <usize>columns << 2; i += 16) {
        v128.store(row + i, fma(v128.load(added + i), factor, v128.load(row + i)));
      }
      storeRow(targetType, place, row, columns);
    }
  }
}
