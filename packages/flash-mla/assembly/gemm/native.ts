/** Products by machine code, where the host has some for the processor at hand. */

import { hasTiles, isNative } from '../attend/tile';
import { BF16, F32 } from '../generated/commands';
import { DotsJob, ProductsJob } from '../generated/native';

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
 * sums[r][c] = x[r] · w[c] for rows of float32 and rows of weights, which need not lie in this memory. `at`: where
 * the job may be written.
 */
export function dotsOf(
  at: usize,
  type: i32,
  x: usize,
  xStride: usize,
  rows: i32,
  w: i64,
  wStride: usize,
  columns: i32,
  depth: i32,
  sums: usize,
  sumsStride: usize,
): void {
  const job = changetype<DotsJob>(at);
  job.x = x;
  job.weights = w;
  job.sums = sums;
  job.xStride = xStride;
  job.weightStride = wStride;
  job.sumsStride = sumsStride;
  job.rows = rows;
  job.columns = columns;
  job.depth = depth;
  job.isBf16 = type == BF16 ? 1 : 0;
  dotsNative(at);
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
 * multiple of 16, as tiles take them; they lie there already unless `pack` is set. The sums have as many
 * rows.
 */
export function productsOf(
  at: usize,
  x: usize,
  xStride: usize,
  rows: i32,
  w: i64,
  wStride: usize,
  columns: i32,
  depth: i32,
  panels: usize,
  pack: bool,
  sums: usize,
  sumsStride: usize,
): void {
  const job = changetype<ProductsJob>(at);
  job.x = x;
  job.weights = w;
  job.sums = sums;
  job.panels = panels;
  job.xStride = xStride;
  job.weightStride = wStride;
  job.sumsStride = sumsStride;
  job.rows = rows;
  job.columns = columns;
  job.depth = depth;
  job.pack = pack ? 1 : 0;
  productsNative(at);
}
