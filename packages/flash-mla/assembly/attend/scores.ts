/**
 * Raw logits S = K·Qᵀ of one block, vectorised over query rows: a key element is broadcast, a vector
 * holds that column of four query rows. Eight or nine accumulators cover the latency of two FMA
 * units and, with the operands, fit the 15 vector registers that V8 has on x64.
 */

import { fma } from '../simd';
import { dQk, keys, keyStride, queries, rowVecs, SCORE_STRIDE, scores } from './tile';

/** All rows of the tile against the first `tokens` decoded keys. */
export function computeScores(tokens: i32): void {
  let panel = queries;
  let score = scores;
  let left = rowVecs;
  while (left > 0) {
    if (left >= 4) {
      for (let t = 0; t < tokens; t += 2) {
        const at = <usize>t;
        scores2x4(keys + at * keyStride, keyStride, panel, dQk, score + (at << 4));
      }
    } else if (left == 3) {
      for (let t = 0; t < tokens; t += 3) {
        const at = <usize>t;
        scores3x3(keys + at * keyStride, keyStride, panel, dQk, score + (at << 4));
      }
    } else if (left == 2) {
      for (let t = 0; t < tokens; t += 4) {
        const at = <usize>t;
        scores4x2(keys + at * keyStride, keyStride, panel, dQk, score + (at << 4));
      }
    } else {
      for (let t = 0; t < tokens; t += 8) {
        const at = <usize>t;
        scores8x1(keys + at * keyStride, keyStride, panel, dQk, score + (at << 4));
      }
    }
    panel += 64 * <usize>dQk;
    score += 4 * SCORE_STRIDE;
    left -= 4;
  }
}

/** 2 keys × 16 rows. */
function scores2x4(k0: usize, stride: usize, q: usize, d: i32, s: usize): void {
  const zero = f32x4.splat(0);
  let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
  let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
  let k1 = k0 + stride;
  const end = k0 + (<usize>d << 2);
  while (k0 < end) {
    const x = v128.load32_splat(k0);
    const y = v128.load32_splat(k1);
    let v = v128.load(q);
    a0 = fma(x, v, a0);
    b0 = fma(y, v, b0);
    v = v128.load(q, 16);
    a1 = fma(x, v, a1);
    b1 = fma(y, v, b1);
    v = v128.load(q, 32);
    a2 = fma(x, v, a2);
    b2 = fma(y, v, b2);
    v = v128.load(q, 48);
    a3 = fma(x, v, a3);
    b3 = fma(y, v, b3);
    k0 += 4;
    k1 += 4;
    q += 64;
  }
  v128.store(s, a0);
  v128.store(s, b0, 16);
  v128.store(s, a1, SCORE_STRIDE);
  v128.store(s, b1, SCORE_STRIDE + 16);
  v128.store(s, a2, 2 * SCORE_STRIDE);
  v128.store(s, b2, 2 * SCORE_STRIDE + 16);
  v128.store(s, a3, 3 * SCORE_STRIDE);
  v128.store(s, b3, 3 * SCORE_STRIDE + 16);
}

/** 3 keys × 12 rows. */
function scores3x3(k0: usize, stride: usize, q: usize, d: i32, s: usize): void {
  const zero = f32x4.splat(0);
  let a0 = zero, a1 = zero, a2 = zero;
  let b0 = zero, b1 = zero, b2 = zero;
  let c0 = zero, c1 = zero, c2 = zero;
  let k1 = k0 + stride;
  let k2 = k1 + stride;
  const end = k0 + (<usize>d << 2);
  while (k0 < end) {
    const x = v128.load32_splat(k0);
    const y = v128.load32_splat(k1);
    const z = v128.load32_splat(k2);
    let v = v128.load(q);
    a0 = fma(x, v, a0);
    b0 = fma(y, v, b0);
    c0 = fma(z, v, c0);
    v = v128.load(q, 16);
    a1 = fma(x, v, a1);
    b1 = fma(y, v, b1);
    c1 = fma(z, v, c1);
    v = v128.load(q, 32);
    a2 = fma(x, v, a2);
    b2 = fma(y, v, b2);
    c2 = fma(z, v, c2);
    k0 += 4;
    k1 += 4;
    k2 += 4;
    q += 48;
  }
  v128.store(s, a0);
  v128.store(s, b0, 16);
  v128.store(s, c0, 32);
  v128.store(s, a1, SCORE_STRIDE);
  v128.store(s, b1, SCORE_STRIDE + 16);
  v128.store(s, c1, SCORE_STRIDE + 32);
  v128.store(s, a2, 2 * SCORE_STRIDE);
  v128.store(s, b2, 2 * SCORE_STRIDE + 16);
  v128.store(s, c2, 2 * SCORE_STRIDE + 32);
}

/** 4 keys × 8 rows. */
function scores4x2(k0: usize, stride: usize, q: usize, d: i32, s: usize): void {
  const zero = f32x4.splat(0);
  let a0 = zero, a1 = zero, b0 = zero, b1 = zero;
  let c0 = zero, c1 = zero, d0 = zero, d1 = zero;
  let k1 = k0 + stride;
  let k2 = k1 + stride;
  let k3 = k2 + stride;
  const end = k0 + (<usize>d << 2);
  while (k0 < end) {
    const v = v128.load(q);
    const w = v128.load(q, 16);
    let x = v128.load32_splat(k0);
    a0 = fma(x, v, a0);
    a1 = fma(x, w, a1);
    x = v128.load32_splat(k1);
    b0 = fma(x, v, b0);
    b1 = fma(x, w, b1);
    x = v128.load32_splat(k2);
    c0 = fma(x, v, c0);
    c1 = fma(x, w, c1);
    x = v128.load32_splat(k3);
    d0 = fma(x, v, d0);
    d1 = fma(x, w, d1);
    k0 += 4;
    k1 += 4;
    k2 += 4;
    k3 += 4;
    q += 32;
  }
  v128.store(s, a0);
  v128.store(s, b0, 16);
  v128.store(s, c0, 32);
  v128.store(s, d0, 48);
  v128.store(s, a1, SCORE_STRIDE);
  v128.store(s, b1, SCORE_STRIDE + 16);
  v128.store(s, c1, SCORE_STRIDE + 32);
  v128.store(s, d1, SCORE_STRIDE + 48);
}

/** 8 keys × 4 rows. */
function scores8x1(k0: usize, stride: usize, q: usize, d: i32, s: usize): void {
  const zero = f32x4.splat(0);
  let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
  let a4 = zero, a5 = zero, a6 = zero, a7 = zero;
  const stride4 = stride << 2;
  let k1 = k0 + stride;
  let k2 = k1 + stride;
  let k3 = k2 + stride;
  const end = k0 + (<usize>d << 2);
  while (k0 < end) {
    const v = v128.load(q);
    a0 = fma(v128.load32_splat(k0), v, a0);
    a1 = fma(v128.load32_splat(k1), v, a1);
    a2 = fma(v128.load32_splat(k2), v, a2);
    a3 = fma(v128.load32_splat(k3), v, a3);
    a4 = fma(v128.load32_splat(k0 + stride4), v, a4);
    a5 = fma(v128.load32_splat(k1 + stride4), v, a5);
    a6 = fma(v128.load32_splat(k2 + stride4), v, a6);
    a7 = fma(v128.load32_splat(k3 + stride4), v, a7);
    k0 += 4;
    k1 += 4;
    k2 += 4;
    k3 += 4;
    q += 16;
  }
  v128.store(s, a0);
  v128.store(s, a1, 16);
  v128.store(s, a2, 32);
  v128.store(s, a3, 48);
  v128.store(s, a4, 64);
  v128.store(s, a5, 80);
  v128.store(s, a6, 96);
  v128.store(s, a7, 112);
}
