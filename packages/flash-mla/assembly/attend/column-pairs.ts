/** Outputs of each 32 columns as 16 even ones and 16 odd ones, and back; see in-place.ts. */

import { colTiles, outputStride, outputs, rowVecs, setColumnPairs } from './tile';

/**
 * Even and odd columns → columns in order. False where a column is infinite or NaN in each of the first `count`
 * rows.
 */
export function joinColumns(count: i32): bool {
  setColumnPairs(false);
  let isSound = true;
  for (let tile = 0; tile < colTiles; tile += 2) {
    const even = outputs + <usize>tile * outputStride;
    const odd = even + outputStride;
    // All bits of a column, until a row has a number there.
    let lost0 = i32x4.splat(-1);
    let lost1 = lost0;
    let lost2 = lost0;
    let lost3 = lost0;
    for (let row = 0; row < rowVecs * 4; row++) {
      const at = <usize>row << 6;
      const e0 = v128.load(even + at);
      const e1 = v128.load(even + at, 16);
      const e2 = v128.load(even + at, 32);
      const e3 = v128.load(even + at, 48);
      const o0 = v128.load(odd + at);
      const o1 = v128.load(odd + at, 16);
      const o2 = v128.load(odd + at, 32);
      const o3 = v128.load(odd + at, 48);
      if (row < count) {
        lost0 = v128.and(lost0, noNumbers(e0, o0));
        lost1 = v128.and(lost1, noNumbers(e1, o1));
        lost2 = v128.and(lost2, noNumbers(e2, o2));
        lost3 = v128.and(lost3, noNumbers(e3, o3));
      }
      v128.store(even + at, v128.shuffle<i32>(e0, o0, 0, 4, 1, 5));
      v128.store(even + at, v128.shuffle<i32>(e0, o0, 2, 6, 3, 7), 16);
      v128.store(even + at, v128.shuffle<i32>(e1, o1, 0, 4, 1, 5), 32);
      v128.store(even + at, v128.shuffle<i32>(e1, o1, 2, 6, 3, 7), 48);
      v128.store(odd + at, v128.shuffle<i32>(e2, o2, 0, 4, 1, 5));
      v128.store(odd + at, v128.shuffle<i32>(e2, o2, 2, 6, 3, 7), 16);
      v128.store(odd + at, v128.shuffle<i32>(e3, o3, 0, 4, 1, 5), 32);
      v128.store(odd + at, v128.shuffle<i32>(e3, o3, 2, 6, 3, 7), 48);
    }
    const lost = v128.or(v128.or(lost0, lost1), v128.or(lost2, lost3));
    if (v128.any_true(lost)) isSound = false;
  }
  return isSound;
}

/** Lanes in which one of the two is infinite or NaN. */
// @ts-ignore: decorator
@inline
function noNumbers(a: v128, b: v128): v128 {
  const zero = i32x4.splat(0);
  return v128.or(f32x4.ne(f32x4.sub(a, a), zero), f32x4.ne(f32x4.sub(b, b), zero));
}

/** Columns in order → even and odd columns. */
export function separateColumns(): void {
  setColumnPairs(true);
  for (let tile = 0; tile < colTiles; tile += 2) {
    const low = outputs + <usize>tile * outputStride;
    const high = low + outputStride;
    for (let row = 0; row < rowVecs * 4; row++) {
      const at = <usize>row << 6;
      const a0 = v128.load(low + at);
      const a1 = v128.load(low + at, 16);
      const a2 = v128.load(low + at, 32);
      const a3 = v128.load(low + at, 48);
      const b0 = v128.load(high + at);
      const b1 = v128.load(high + at, 16);
      const b2 = v128.load(high + at, 32);
      const b3 = v128.load(high + at, 48);
      v128.store(low + at, v128.shuffle<i32>(a0, a1, 0, 2, 4, 6));
      v128.store(low + at, v128.shuffle<i32>(a2, a3, 0, 2, 4, 6), 16);
      v128.store(low + at, v128.shuffle<i32>(b0, b1, 0, 2, 4, 6), 32);
      v128.store(low + at, v128.shuffle<i32>(b2, b3, 0, 2, 4, 6), 48);
      v128.store(high + at, v128.shuffle<i32>(a0, a1, 1, 3, 5, 7));
      v128.store(high + at, v128.shuffle<i32>(a2, a3, 1, 3, 5, 7), 16);
      v128.store(high + at, v128.shuffle<i32>(b0, b1, 1, 3, 5, 7), 32);
      v128.store(high + at, v128.shuffle<i32>(b2, b3, 1, 3, 5, 7), 48);
    }
  }
}
