/** Element by element: SwiGLU, and rows added to others; see src/ops/activation. */

import { loadRow, loadRowOf, rowAt, sizeOf, storeRowOf } from '../elements';
import { AddScaled, SwiGlu } from '../generated/activation';
import { LOG2E } from '../scalar';
import { exp2v, fma } from '../simd';

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

export function swiGlu(command: SwiGlu): void {
  const rows = command.numRows;
  const columns = command.columns;
  const x = command.x;
  const gate = command.scratch(command.scratchBytes);
  const up = gate + command.scratchBytes / 2;
  const skip = <usize>columns * sizeOf(x.type);
  const items = (rows + CHUNK - 1) / CHUNK;
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    for (let r = item * CHUNK; r < min(rows, (item + 1) * CHUNK); r++) {
      loadRowOf(x, r, gate, columns);
      loadRow(x.type, up, rowAt(x, r) + skip, columns);
      gateRow(gate, up, columns);
      storeRowOf(command.out, r, gate, columns);
    }
  }
}

export function addScaled(command: AddScaled): void {
  const rows = command.numRows;
  const columns = command.columns;
  const row = command.scratch(command.scratchBytes);
  const added = row + command.scratchBytes / 2;
  const factor = f32x4.splat(<f32>command.scale);
  const items = (rows + CHUNK - 1) / CHUNK;
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    for (let r = item * CHUNK; r < min(rows, (item + 1) * CHUNK); r++) {
      loadRowOf(command.target, r, row, columns);
      loadRowOf(command.x, r, added, columns);
      for (let i: usize = 0; i < <usize>columns << 2; i += 16) {
        v128.store(row + i, fma(v128.load(added + i), factor, v128.load(row + i)));
      }
      storeRowOf(command.target, r, row, columns);
    }
  }
}
