/** Dot products of a few rows of x with four rows of weights: the inner loops of gemm. */

import { high, low } from '../decode/bf16';
import { fma, sumLanes } from '../simd';

/** Eight elements of a row of T (u16: bf16, f32), the first or the last four of them as float32. */
// @ts-ignore: decorator
@inline
function firstHalf<T>(at: usize): v128 {
  return sizeof<T>() == 2 ? low(v128.load(at)) : v128.load(at);
}

// @ts-ignore: decorator
@inline
function lastHalf<T>(at: usize): v128 {
  return sizeof<T>() == 2 ? high(v128.load(at)) : v128.load(at, 16);
}

// @ts-ignore: decorator
@inline
function element<T>(at: usize): f32 {
  return sizeof<T>() == 2 ? reinterpret<f32>(<u32>load<u16>(at) << 16) : load<f32>(at);
}

/** One row of float32 with four rows of T, `stride` bytes apart; writes four sums. */
export function dot1x4<T>(x: usize, w: usize, stride: usize, depth: i32, sums: usize): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  const w1 = w + stride;
  const w2 = w1 + stride;
  const w3 = w2 + stride;
  const bulk = <usize>(depth & ~7);
  let k: usize = 0;
  for (; k < bulk; k += 8) {
    const at = k * sizeof<T>();
    const p = v128.load(x + (k << 2));
    const q = v128.load(x + (k << 2), 16);
    a0 = fma(p, firstHalf<T>(w + at), a0);
    a1 = fma(p, firstHalf<T>(w1 + at), a1);
    a2 = fma(p, firstHalf<T>(w2 + at), a2);
    a3 = fma(p, firstHalf<T>(w3 + at), a3);
    b0 = fma(q, lastHalf<T>(w + at), b0);
    b1 = fma(q, lastHalf<T>(w1 + at), b1);
    b2 = fma(q, lastHalf<T>(w2 + at), b2);
    b3 = fma(q, lastHalf<T>(w3 + at), b3);
  }
  let s0 = sumLanes(f32x4.add(a0, b0));
  let s1 = sumLanes(f32x4.add(a1, b1));
  let s2 = sumLanes(f32x4.add(a2, b2));
  let s3 = sumLanes(f32x4.add(a3, b3));
  for (; k < <usize>depth; k++) {
    const at = k * sizeof<T>();
    const value = load<f32>(x + (k << 2));
    s0 += value * element<T>(w + at);
    s1 += value * element<T>(w1 + at);
    s2 += value * element<T>(w2 + at);
    s3 += value * element<T>(w3 + at);
  }
  store<f32>(sums, s0);
  store<f32>(sums, s1, 4);
  store<f32>(sums, s2, 8);
  store<f32>(sums, s3, 12);
}

/** Three rows of float32, `xStride` bytes apart, with four rows of T; writes three times four sums. */
export function dot3x4<T>(
  x: usize,
  xStride: usize,
  w: usize,
  stride: usize,
  depth: i32,
  sums: usize,
): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  let c0 = a0;
  let c1 = a0;
  let c2 = a0;
  let c3 = a0;
  const y = x + xStride;
  const z = y + xStride;
  const w1 = w + stride;
  const w2 = w1 + stride;
  const w3 = w2 + stride;
  const bulk = <usize>(depth & ~7);
  let k: usize = 0;
  for (; k < bulk; k += 8) {
    const at = k * sizeof<T>();
    const from = k << 2;
    let p = v128.load(x + from);
    let q = v128.load(y + from);
    let r = v128.load(z + from);
    let v = firstHalf<T>(w + at);
    a0 = fma(p, v, a0);
    b0 = fma(q, v, b0);
    c0 = fma(r, v, c0);
    v = firstHalf<T>(w1 + at);
    a1 = fma(p, v, a1);
    b1 = fma(q, v, b1);
    c1 = fma(r, v, c1);
    v = firstHalf<T>(w2 + at);
    a2 = fma(p, v, a2);
    b2 = fma(q, v, b2);
    c2 = fma(r, v, c2);
    v = firstHalf<T>(w3 + at);
    a3 = fma(p, v, a3);
    b3 = fma(q, v, b3);
    c3 = fma(r, v, c3);
    p = v128.load(x + from, 16);
    q = v128.load(y + from, 16);
    r = v128.load(z + from, 16);
    v = lastHalf<T>(w + at);
    a0 = fma(p, v, a0);
    b0 = fma(q, v, b0);
    c0 = fma(r, v, c0);
    v = lastHalf<T>(w1 + at);
    a1 = fma(p, v, a1);
    b1 = fma(q, v, b1);
    c1 = fma(r, v, c1);
    v = lastHalf<T>(w2 + at);
    a2 = fma(p, v, a2);
    b2 = fma(q, v, b2);
    c2 = fma(r, v, c2);
    v = lastHalf<T>(w3 + at);
    a3 = fma(p, v, a3);
    b3 = fma(q, v, b3);
    c3 = fma(r, v, c3);
  }
  storeSums(sums, a0, a1, a2, a3);
  storeSums(sums + 16, b0, b1, b2, b3);
  storeSums(sums + 32, c0, c1, c2, c3);
  for (; k < <usize>depth; k++) {
    for (let row: usize = 0; row < 3; row++) {
      const value = load<f32>(x + row * xStride + (k << 2));
      for (let column: usize = 0; column < 4; column++) {
        const sum = sums + (row << 4) + (column << 2);
        store<f32>(sum, load<f32>(sum) + value * element<T>(w + column * stride + k * sizeof<T>()));
      }
    }
  }
}

/** The lane sums of four vectors. */
// @ts-ignore: decorator
@inline
function storeSums(target: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = f32x4.add(
    i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
    i8x16.shuffle(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31),
  );
  const cd = f32x4.add(
    i8x16.shuffle(c, d, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
    i8x16.shuffle(c, d, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31),
  );
  v128.store(
    target,
    f32x4.add(
      i8x16.shuffle(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
      i8x16.shuffle(ab, cd, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31),
    ),
  );
}

/**
 * Three rows of float32 with 16 columns of a matrix of T whose rows, `stride` bytes apart, are the
 * depth; writes three times 16 sums.
 */
export function outer3x16<T>(
  x: usize,
  xStride: usize,
  w: usize,
  stride: usize,
  depth: i32,
  sums: usize,
): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  let c0 = a0;
  let c1 = a0;
  let c2 = a0;
  let c3 = a0;
  const y = x + xStride;
  const z = y + xStride;
  for (let k: usize = 0; k < <usize>depth; k++) {
    const p = v128.load32_splat(x + (k << 2));
    const q = v128.load32_splat(y + (k << 2));
    const r = v128.load32_splat(z + (k << 2));
    let v = firstHalf<T>(w);
    a0 = fma(p, v, a0);
    b0 = fma(q, v, b0);
    c0 = fma(r, v, c0);
    v = lastHalf<T>(w);
    a1 = fma(p, v, a1);
    b1 = fma(q, v, b1);
    c1 = fma(r, v, c1);
    v = firstHalf<T>(w + 8 * sizeof<T>());
    a2 = fma(p, v, a2);
    b2 = fma(q, v, b2);
    c2 = fma(r, v, c2);
    v = lastHalf<T>(w + 8 * sizeof<T>());
    a3 = fma(p, v, a3);
    b3 = fma(q, v, b3);
    c3 = fma(r, v, c3);
    w += stride;
  }
  v128.store(sums, a0);
  v128.store(sums, a1, 16);
  v128.store(sums, a2, 32);
  v128.store(sums, a3, 48);
  v128.store(sums, b0, 64);
  v128.store(sums, b1, 80);
  v128.store(sums, b2, 96);
  v128.store(sums, b3, 112);
  v128.store(sums, c0, 128);
  v128.store(sums, c1, 144);
  v128.store(sums, c2, 160);
  v128.store(sums, c3, 176);
}

/** One column of {@link outer3x16}, of one row. */
export function outer1x1<T>(x: usize, w: usize, stride: usize, depth: i32): f32 {
  let sum: f32 = 0;
  for (let k: usize = 0; k < <usize>depth; k++) {
    sum += load<f32>(x + (k << 2)) * element<T>(w);
    w += stride;
  }
  return sum;
}
