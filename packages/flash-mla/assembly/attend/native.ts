/**
 * Blocks that machine code attends to, where the host has some for the processor at hand: see
 * src/runtime/cpu/native/. It works on this memory, on the tile as tile.ts lays it out.
 */

import {
  colTiles,
  dQk,
  decay,
  keyStride,
  keys,
  limits,
  maximum,
  outputStride,
  outputs,
  queries,
  rows,
  SCORE_STRIDE,
  scores,
  spill,
  sum,
  valueStride,
  values,
} from './tile';

/** Runs the machine code on the job at this address. */
@external("env", "attendNative")
declare function attendNative(job: usize): void;

/** Like attendBlock(). The fields are those of native/kernels/attend/job.ts, 32 bits each. */
export function attendNatively(tokens: i32, masked: bool, position: i32): void {
  const job = spill;
  store<u32>(job, <u32>queries);
  store<u32>(job, <u32>keys, 4);
  store<u32>(job, <u32>values, 8);
  store<u32>(job, <u32>scores, 12);
  store<u32>(job, <u32>outputs, 16);
  store<u32>(job, <u32>maximum, 20);
  store<u32>(job, <u32>sum, 24);
  store<u32>(job, <u32>decay, 28);
  store<u32>(job, <u32>limits, 32);
  store<u32>(job, <u32>keyStride, 36);
  store<u32>(job, <u32>valueStride, 40);
  store<u32>(job, <u32>outputStride, 44);
  store<u32>(job, <u32>(SCORE_STRIDE << 2), 48);
  store<i32>(job, dQk, 52);
  store<i32>(job, colTiles, 56);
  store<i32>(job, rows, 60);
  store<i32>(job, tokens, 64);
  store<i32>(job, masked ? 1 : 0, 68);
  store<i32>(job, position, 72);
  attendNative(job);
}
