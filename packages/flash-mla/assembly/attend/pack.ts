/**
 * Query rows → panels of up to 16 rows, transposed, so that one vector holds one column of
 * 4 rows. They are scaled on the way: logits then come out in base 2.
 */

import { decodeRow } from '../decode/row';
import { dQk, fewRows, keys, pairQueries, queries, rowVecs, rows, scaleLog2 } from './tile';

/** Where the queries of a tile lie: row r is query position r / group, head r % group. */
let base: usize = 0;
let positionStride: usize = 0;
let headStride: usize = 0;
let group: i32 = 1;

export function setQueries(address: usize, perPosition: usize, perHead: usize, heads: i32): void {
  base = address;
  positionStride = perPosition;
  headStride = perHead;
  group = heads;
}

/** Decodes and packs the tile's rows, the first of which is row `firstRow`. */
export function packQueries(dtype: i32, firstRow: i32): void {
  if (fewRows) packRows(dtype, firstRow);
  else packPanels(dtype, firstRow);
}

function addressOf(index: i32): usize {
  return base + <usize>(index / group) * positionStride + <usize>(index % group) * headStride;
}

/** Row by row; rows up to the next four are 0. */
function packRows(dtype: i32, firstRow: i32): void {
  const stride = <usize>dQk << 2;
  const scale = f32x4.splat(scaleLog2);
  memory.fill(queries, 0, <usize>rowVecs * 4 * stride);
  for (let row = 0; row < rows; row++) {
    const target = queries + <usize>row * stride;
    decodeRow(dtype, target, addressOf(firstRow + row), dQk);
    for (let c: usize = 0; c < stride; c += 16) {
      v128.store(target + c, f32x4.mul(v128.load(target + c), scale));
    }
  }
}

function packPanels(dtype: i32, firstRow: i32): void {
  // Four decoded rows wait where the keys will go.
  const stride = <usize>((dQk + 3) & ~3) << 2;
  for (let v = 0; v < rowVecs; v++) {
    for (let lane = 0; lane < 4; lane++) {
      const row = v * 4 + lane;
      const target = keys + <usize>lane * stride;
      if (row < rows) {
        decodeRow(dtype, target, addressOf(firstRow + row), dQk);
      } else {
        memory.fill(target, 0, stride);
      }
    }
    const panel = v & ~3;
    const left = rowVecs - panel;
    const width = <usize>(left < 4 ? left : 4) << 4;
    const panelBase = queries + <usize>panel * 16 * <usize>dQk;
    transpose(panelBase + (<usize>(v & 3) << 4), width, keys, stride);
  }
}

function transpose(target: usize, width: usize, source: usize, stride: usize): void {
  const scale = f32x4.splat(scaleLog2);
  const bulk = source + (<usize>(dQk & ~3) << 2);
  const end = source + (<usize>dQk << 2);
  while (source < bulk) {
    const a = f32x4.mul(v128.load(source), scale);
    const b = f32x4.mul(v128.load(source + stride), scale);
    const c = f32x4.mul(v128.load(source + 2 * stride), scale);
    const d = f32x4.mul(v128.load(source + 3 * stride), scale);
    const ab0 = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const ab1 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const cd0 = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    const cd1 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    v128.store(target, v128.shuffle<i32>(ab0, cd0, 0, 1, 4, 5));
    v128.store(target + width, v128.shuffle<i32>(ab0, cd0, 2, 3, 6, 7));
    v128.store(target + 2 * width, v128.shuffle<i32>(ab1, cd1, 0, 1, 4, 5));
    v128.store(target + 3 * width, v128.shuffle<i32>(ab1, cd1, 2, 3, 6, 7));
    target += width << 2;
    source += 16;
  }
  while (source < end) {
    store<f32>(target, load<f32>(source) * scaleLog2);
    store<f32>(target, load<f32>(source + stride) * scaleLog2, 4);
    store<f32>(target, load<f32>(source + 2 * stride) * scaleLog2, 8);
    store<f32>(target, load<f32>(source + 3 * stride) * scaleLog2, 12);
    target += width;
    source += 4;
  }
}

/** The first row of the tile whose pairs were packed last. */
export let pairsFirstRow: i32 = 0;

/**
 * Packs the tile's rows of bf16 for tokens in place: neighbours along the head dimension stay together, as
 * they are, not scaled. dQk is a multiple of 8.
 */
export function packPairs(firstRow: i32): void {
  pairsFirstRow = firstRow;
  const bytes = <usize>dQk << 1;
  for (let v = 0; v < rowVecs; v++) {
    const row = v * 4;
    const a = row < rows ? addressOf(firstRow + row) : 0;
    const b = row + 1 < rows ? addressOf(firstRow + row + 1) : 0;
    const c = row + 2 < rows ? addressOf(firstRow + row + 2) : 0;
    const d = row + 3 < rows ? addressOf(firstRow + row + 3) : 0;
    let target = pairQueries + <usize>(v >> 2) * 16 * bytes + (<usize>(v & 3) << 4);
    for (let at: usize = 0; at < bytes; at += 16) {
      const pa = load128(a, at);
      const pb = load128(b, at);
      const pc = load128(c, at);
      const pd = load128(d, at);
      const ab0 = v128.shuffle<i32>(pa, pb, 0, 4, 1, 5);
      const ab1 = v128.shuffle<i32>(pa, pb, 2, 6, 3, 7);
      const cd0 = v128.shuffle<i32>(pc, pd, 0, 4, 1, 5);
      const cd1 = v128.shuffle<i32>(pc, pd, 2, 6, 3, 7);
      v128.store(target, v128.shuffle<i32>(ab0, cd0, 0, 1, 4, 5));
      v128.store(target, v128.shuffle<i32>(ab0, cd0, 2, 3, 6, 7), 64);
      v128.store(target, v128.shuffle<i32>(ab1, cd1, 0, 1, 4, 5), 128);
      v128.store(target, v128.shuffle<i32>(ab1, cd1, 2, 3, 6, 7), 192);
      target += 256;
    }
  }
}

/** A row that is not there is 0. */
// @ts-ignore: decorator
@inline
function load128(row: usize, at: usize): v128 {
  return row == 0 ? i64x2.splat(0) : v128.load(row + at);
}
