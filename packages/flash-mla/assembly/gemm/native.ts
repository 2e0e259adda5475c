/** Products by machine code, where the host has some for the processor at hand. */

import { isNative } from '../attend/tile';
import { BF16, F32 } from '../elements';

/** Whether the machine code has products of tiles. */
let hasTiles: bool = false;

/** The host has machine code for products of tiles. */
export function useTiles(): void {
  hasTiles = true;
}

/** Runs the machine code on the job at this address. */
@external("env", "dotsNative")
declare function dotsNative(job: usize): void;

/** Runs the machine code for products of tiles on the job at this address. */
@external("env", "productsNative")
declare function productsNative(job: usize): void;

/** Bytes of a job. */
export const JOB_BYTES: usize = 64;

/** Whether machine code multiplies rows of so many elements. */
export function multipliesNatively(type: i32, depth: i32): bool {
  return isNative && depth % 16 == 0 && (type == BF16 || type == F32);
}

/**
 * sums[r][c] = x[r] · w[c] for rows of float32 and rows of weights. The fields are those of
 * src/runtime/cpu/native/kernels/dots/job.ts, 32 bits each.
 */
export function dotsOf(
  job: usize,
  type: i32,
  x: usize,
  xStride: usize,
  rows: i32,
  w: usize,
  wStride: usize,
  columns: i32,
  depth: i32,
  sums: usize,
  sumsStride: usize,
): void {
  store<u32>(job, <u32>x);
  store<u32>(job, <u32>w, 4);
  store<u32>(job, <u32>sums, 8);
  store<u32>(job, <u32>xStride, 12);
  store<u32>(job, <u32>wStride, 16);
  store<u32>(job, <u32>sumsStride, 20);
  store<i32>(job, rows, 24);
  store<i32>(job, columns, 28);
  store<i32>(job, depth, 32);
  store<i32>(job, type == BF16 ? 1 : 0, 36);
  dotsNative(job);
}

/** Rows of a tile: the fewest weights that products of tiles take. */
export const TILE_ROWS: i32 = 16;

/** Whether products of tiles multiply rows and weights of these types. */
export function multipliesByTiles(xType: i32, weightType: i32, transposed: i32, columns: i32, depth: i32): bool {
  const fits = columns >= TILE_ROWS && depth % 32 == 0 && transposed == 0;
  return hasTiles && xType == BF16 && weightType == BF16 && fits;
}

/**
 * As dotsOf() for rows of bf16, with at least {@link TILE_ROWS} columns. `panels`: room for the rows, up to a
 * multiple of 16, as tiles take them; they lie there already unless `pack` is set. The sums have as many rows. The
 * fields are those of src/runtime/cpu/native/kernels/products/job.ts.
 */
export function productsOf(
  job: usize,
  x: usize,
  xStride: usize,
  rows: i32,
  w: usize,
  wStride: usize,
  columns: i32,
  depth: i32,
  panels: usize,
  pack: bool,
  sums: usize,
  sumsStride: usize,
): void {
  store<u32>(job, <u32>x);
  store<u32>(job, <u32>w, 4);
  store<u32>(job, <u32>sums, 8);
  store<u32>(job, <u32>panels, 12);
  store<u32>(job, <u32>xStride, 16);
  store<u32>(job, <u32>wStride, 20);
  store<u32>(job, <u32>sumsStride, 24);
  store<i32>(job, rows, 28);
  store<i32>(job, columns, 32);
  store<i32>(job, depth, 36);
  store<i32>(job, pack ? 1 : 0, 40);
  productsNative(job);
}
