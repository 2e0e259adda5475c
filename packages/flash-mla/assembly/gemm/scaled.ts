/** Rows times rows of weights of any type by machine code, where the host has some for the processor at hand. */

import { isNative } from '../attend/tile';
import { E4M3 } from '../generated/commands';
import { ScaledDotsJob } from '../generated/native';
import { dotsOf, multipliesNatively } from './native';

/** Runs the machine code for weights of e4m3 on the job at this address. */
@external("env", "scaledDotsNative")
declare function scaledDotsNative(job: usize): void;

/** Rows of weights that share a scale. */
const SCALE_ROWS: i32 = 128;
/** The depth of weights of e4m3 is a multiple of this. */
const DEPTH_STEP: i32 = 32;

/** Whether machine code multiplies rows with weights of such a type and depth. */
export function multipliesWeights(type: i32, depth: i32): bool {
  if (type != E4M3) return multipliesNatively(type, depth);
  return isNative && depth % DEPTH_STEP == 0;
}

/**
 * sums[r][c] = x[r] · w[first + c] for rows of float32. `w`: where row `first` of the weights lies, and `scales` where
 * the scales of row 0 do; neither need be in this memory. `at`: where the job may be written.
 */
export function timesWeights(
  at: usize,
  type: i32,
  x: usize,
  xStride: usize,
  rows: i32,
  w: i64,
  wStride: usize,
  first: i32,
  columns: i32,
  depth: i32,
  scales: i64,
  scalesStride: usize,
  sums: usize,
  sumsStride: usize,
): void {
  if (type != E4M3) {
    dotsOf(at, type, x, xStride, rows, w, wStride, columns, depth, sums, sumsStride);
    return;
  }
  const job = changetype<ScaledDotsJob>(at);
  job.x = x;
  job.xStride = xStride;
  job.weightStride = wStride;
  job.sumsStride = sumsStride;
  job.rows = rows;
  job.depth = depth;
  // A call takes columns that share their scales.
  for (let c = 0; c < columns; ) {
    const block = (first + c) / SCALE_ROWS;
    const end = min(columns, (block + 1) * SCALE_ROWS - first);
    job.weights = w + <i64>c * <i64>wStride;
    job.scales = scales + <i64>block * <i64>scalesStride;
    job.sums = sums + (<usize>c << 2);
    job.columns = end - c;
    scaledDotsNative(at);
    c = end;
  }
}
