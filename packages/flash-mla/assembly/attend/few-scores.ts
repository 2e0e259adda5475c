/**
 * Raw logits S = K·Qᵀ of one block for 1 to 4 query rows, vectorised over the head dimension: with so
 * few rows, a vector over rows would be mostly empty. Eight accumulators, as in scores.ts.
 */

import { fma } from '../simd';
import { dQk, keys, keyStride, queries, rows, scores } from './tile';

/** All rows of the tile, packed one after the other, against the first `tokens` decoded keys. */
export function computeFewScores(tokens: i32): void {
  const bytes = <usize>dQk << 2;
  let key = keys;
  let score = scores;
  const end = scores + (<usize>tokens << 4);
  if (rows == 1) {
    while (score < end) {
      few4x1(key, keyStride, queries, bytes, score);
      key += keyStride << 2;
      score += 64;
    }
  } else if (rows == 2) {
    while (score < end) {
      few4x2(key, keyStride, queries, bytes, score);
      key += keyStride << 2;
      score += 64;
    }
  } else {
    while (score < end) {
      few2x4(key, keyStride, queries, bytes, score);
      key += keyStride << 1;
      score += 32;
    }
  }
}

/** The sums of a, b, c and d in one vector. */
// @ts-ignore: decorator
@inline
function sumsOf(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(
    v128.shuffle<f32>(ab, cd, 0, 1, 4, 5),
    v128.shuffle<f32>(ab, cd, 2, 3, 6, 7),
  );
}

/** 4 keys × 1 row, two columns of vectors at a time. */
function few4x1(k0: usize, stride: usize, q: usize, bytes: usize, s: usize): void {
  const zero = f32x4.splat(0);
  let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
  let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
  let k1 = k0 + stride;
  let k2 = k1 + stride;
  let k3 = k2 + stride;
  const end = q + bytes;
  while (q < end) {
    const v = v128.load(q);
    a0 = fma(v128.load(k0), v, a0);
    a1 = fma(v128.load(k1), v, a1);
    a2 = fma(v128.load(k2), v, a2);
    a3 = fma(v128.load(k3), v, a3);
    const w = v128.load(q, 16);
    b0 = fma(v128.load(k0, 16), w, b0);
    b1 = fma(v128.load(k1, 16), w, b1);
    b2 = fma(v128.load(k2, 16), w, b2);
    b3 = fma(v128.load(k3, 16), w, b3);
    q += 32;
    k0 += 32;
    k1 += 32;
    k2 += 32;
    k3 += 32;
  }
  const sums = sumsOf(f32x4.add(a0, b0), f32x4.add(a1, b1), f32x4.add(a2, b2), f32x4.add(a3, b3));
  v128.store32_lane(s, sums, 0);
  v128.store32_lane(s, sums, 1, 16);
  v128.store32_lane(s, sums, 2, 32);
  v128.store32_lane(s, sums, 3, 48);
}

/** 4 keys × 2 rows. */
function few4x2(k0: usize, stride: usize, q: usize, bytes: usize, s: usize): void {
  const zero = f32x4.splat(0);
  let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
  let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
  let k1 = k0 + stride;
  let k2 = k1 + stride;
  let k3 = k2 + stride;
  let r = q + bytes;
  const end = r;
  while (q < end) {
    const v = v128.load(q);
    const w = v128.load(r);
    let x = v128.load(k0);
    a0 = fma(x, v, a0);
    b0 = fma(x, w, b0);
    x = v128.load(k1);
    a1 = fma(x, v, a1);
    b1 = fma(x, w, b1);
    x = v128.load(k2);
    a2 = fma(x, v, a2);
    b2 = fma(x, w, b2);
    x = v128.load(k3);
    a3 = fma(x, v, a3);
    b3 = fma(x, w, b3);
    q += 16;
    r += 16;
    k0 += 16;
    k1 += 16;
    k2 += 16;
    k3 += 16;
  }
  const a = sumsOf(a0, a1, a2, a3);
  const b = sumsOf(b0, b1, b2, b3);
  const low = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const high = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  v128.store64_lane(s, low, 0);
  v128.store64_lane(s, low, 1, 16);
  v128.store64_lane(s, high, 0, 32);
  v128.store64_lane(s, high, 1, 48);
}

/** 2 keys × 4 rows. */
function few2x4(k0: usize, stride: usize, q: usize, bytes: usize, s: usize): void {
  const zero = f32x4.splat(0);
  let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
  let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
  let k1 = k0 + stride;
  let q1 = q + bytes;
  let q2 = q1 + bytes;
  let q3 = q2 + bytes;
  const end = q1;
  while (q < end) {
    const x = v128.load(k0);
    const y = v128.load(k1);
    let v = v128.load(q);
    a0 = fma(x, v, a0);
    b0 = fma(y, v, b0);
    v = v128.load(q1);
    a1 = fma(x, v, a1);
    b1 = fma(y, v, b1);
    v = v128.load(q2);
    a2 = fma(x, v, a2);
    b2 = fma(y, v, b2);
    v = v128.load(q3);
    a3 = fma(x, v, a3);
    b3 = fma(y, v, b3);
    q += 16;
    q1 += 16;
    q2 += 16;
    q3 += 16;
    k0 += 16;
    k1 += 16;
  }
  v128.store(s, sumsOf(a0, a1, a2, a3));
  v128.store(s, sumsOf(b0, b1, b2, b3), 16);
}
