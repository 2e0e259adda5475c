/** Outputs O = decay·O + P·V of one block, vectorised over value columns. */

import { fma } from '../simd';
import {
  colTiles,
  dV,
  decay,
  limits,
  outputStride,
  outputs,
  rows,
  SCORE_STRIDE,
  scores,
  valueStride,
  values,
} from './tile';

/** All rows of the tile with the first `tokens` decoded values. */
export function accumulateOutputs(tokens: i32): void {
  let out = outputs;
  for (let tile = 0; tile < colTiles; tile++) {
    const value = values + (<usize>tile << 6);
    let row = 0;
    for (; row + 2 <= rows; row += 2) {
      const p = scores + <usize>(row >> 2) * SCORE_STRIDE + (<usize>(row & 3) << 2);
      outputs2x4(p, value, valueStride, tokens, out + (<usize>row << 6), decay + (<usize>row << 2));
    }
    if (row < rows) {
      const p = scores + <usize>(row >> 2) * SCORE_STRIDE + (<usize>(row & 3) << 2);
      const at = out + (<usize>row << 6);
      // One row has too few accumulators for one column tile; two tiles together have enough.
      if (tile + 1 < colTiles && (tile & 1) == 0) {
        outputs1x8(p, value, valueStride, tokens, at, outputStride, decay + (<usize>row << 2));
      } else if ((tile & 1) == 0) {
        outputs1x4(p, value, valueStride, tokens, at, decay + (<usize>row << 2));
      }
    }
    out += outputStride;
  }
}

/** 2 rows × 16 columns. */
function outputs2x4(p: usize, v: usize, stride: usize, tokens: i32, o: usize, f: usize): void {
  let w = v128.load32_splat(f);
  let a0 = f32x4.mul(v128.load(o), w);
  let a1 = f32x4.mul(v128.load(o, 16), w);
  let a2 = f32x4.mul(v128.load(o, 32), w);
  let a3 = f32x4.mul(v128.load(o, 48), w);
  w = v128.load32_splat(f, 4);
  let b0 = f32x4.mul(v128.load(o, 64), w);
  let b1 = f32x4.mul(v128.load(o, 80), w);
  let b2 = f32x4.mul(v128.load(o, 96), w);
  let b3 = f32x4.mul(v128.load(o, 112), w);
  let q = p + 4;
  const end = p + (<usize>tokens << 4);
  while (p < end) {
    const x = v128.load32_splat(p);
    const y = v128.load32_splat(q);
    let u = v128.load(v);
    a0 = fma(x, u, a0);
    b0 = fma(y, u, b0);
    u = v128.load(v, 16);
    a1 = fma(x, u, a1);
    b1 = fma(y, u, b1);
    u = v128.load(v, 32);
    a2 = fma(x, u, a2);
    b2 = fma(y, u, b2);
    u = v128.load(v, 48);
    a3 = fma(x, u, a3);
    b3 = fma(y, u, b3);
    p += 16;
    q += 16;
    v += stride;
  }
  v128.store(o, a0);
  v128.store(o, a1, 16);
  v128.store(o, a2, 32);
  v128.store(o, a3, 48);
  v128.store(o, b0, 64);
  v128.store(o, b1, 80);
  v128.store(o, b2, 96);
  v128.store(o, b3, 112);
}

/** 1 row × 32 columns, in two column tiles. */
function outputs1x8(
  p: usize,
  v: usize,
  stride: usize,
  tokens: i32,
  o: usize,
  nextTile: usize,
  f: usize,
): void {
  const w = v128.load32_splat(f);
  const n = o + nextTile;
  let a0 = f32x4.mul(v128.load(o), w);
  let a1 = f32x4.mul(v128.load(o, 16), w);
  let a2 = f32x4.mul(v128.load(o, 32), w);
  let a3 = f32x4.mul(v128.load(o, 48), w);
  let b0 = f32x4.mul(v128.load(n), w);
  let b1 = f32x4.mul(v128.load(n, 16), w);
  let b2 = f32x4.mul(v128.load(n, 32), w);
  let b3 = f32x4.mul(v128.load(n, 48), w);
  const end = p + (<usize>tokens << 4);
  while (p < end) {
    const x = v128.load32_splat(p);
    a0 = fma(x, v128.load(v), a0);
    a1 = fma(x, v128.load(v, 16), a1);
    a2 = fma(x, v128.load(v, 32), a2);
    a3 = fma(x, v128.load(v, 48), a3);
    b0 = fma(x, v128.load(v, 64), b0);
    b1 = fma(x, v128.load(v, 80), b1);
    b2 = fma(x, v128.load(v, 96), b2);
    b3 = fma(x, v128.load(v, 112), b3);
    p += 16;
    v += stride;
  }
  v128.store(o, a0);
  v128.store(o, a1, 16);
  v128.store(o, a2, 32);
  v128.store(o, a3, 48);
  v128.store(n, b0);
  v128.store(n, b1, 16);
  v128.store(n, b2, 32);
  v128.store(n, b3, 48);
}

/** 1 row × 16 columns. */
function outputs1x4(p: usize, v: usize, stride: usize, tokens: i32, o: usize, f: usize): void {
  const w = v128.load32_splat(f);
  let a0 = f32x4.mul(v128.load(o), w);
  let a1 = f32x4.mul(v128.load(o, 16), w);
  let a2 = f32x4.mul(v128.load(o, 32), w);
  let a3 = f32x4.mul(v128.load(o, 48), w);
  const end = p + (<usize>tokens << 4);
  while (p < end) {
    const x = v128.load32_splat(p);
    a0 = fma(x, v128.load(v), a0);
    a1 = fma(x, v128.load(v, 16), a1);
    a2 = fma(x, v128.load(v, 32), a2);
    a3 = fma(x, v128.load(v, 48), a3);
    p += 16;
    v += stride;
  }
  v128.store(o, a0);
  v128.store(o, a1, 16);
  v128.store(o, a2, 32);
  v128.store(o, a3, 48);
}

/** Whether any of the first `tokens` values is an infinity or NaN: x·0 is then NaN. */
export function valuesAreFinite(tokens: i32): bool {
  const zero = f32x4.splat(0);
  let sum = zero;
  let value = values;
  const whole = <usize>(dV & ~3) << 2;
  const end = <usize>dV << 2;
  for (let t = 0; t < tokens; t++) {
    let c: usize = 0;
    for (; c < whole; c += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(value + c), zero));
    for (; c < end; c += 4) sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(value + c), zero));
    value += valueStride;
  }
  return !v128.any_true(f32x4.ne(sum, sum));
}

/**
 * As {@link accumulateOutputs}, but a row never touches a value beyond its limit: a weight of zero
 * does not hide an infinity or NaN.
 */
export function accumulateSeenOutputs(tokens: i32, position: i32): void {
  for (let row = 0; row < rows; row++) {
    const p = scores + <usize>(row >> 2) * SCORE_STRIDE + (<usize>(row & 3) << 2);
    let seen = load<i32>(limits + (<usize>row << 2)) - position;
    seen = seen < 0 ? 0 : seen > tokens ? tokens : seen;
    for (let tile: usize = 0; tile < <usize>colTiles; tile++) {
      const out = outputs + tile * outputStride + (<usize>row << 6);
      outputs1x4(p, values + (tile << 6), valueStride, seen, out, decay + (<usize>row << 2));
    }
  }
}
