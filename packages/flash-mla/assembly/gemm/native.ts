/** Products by machine code, where the host has some for the processor at hand. */

import { isNative } from '../attend/tile';
import { BF16, F32 } from '../elements';

/** Runs the machine code on the job at this address. */
@external("env", "dotsNative")
declare function dotsNative(job: usize): void;

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
