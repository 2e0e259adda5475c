/**
 * Blocks that machine code attends to, where the host has some for the processor at hand: see
 * src/runtime/cpu/native/. It works on this memory, on the tile as tile.ts lays it out.
 */

import { AttendJob } from '../generated/native';
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

/** Like attendBlock(). */
export function attendNatively(tokens: i32, masked: bool, position: i32): void {
  const job = changetype<AttendJob>(spill);
  job.queries = queries;
  job.keys = keys;
  job.values = values;
  job.scores = scores;
  job.outputs = outputs;
  job.maximum = maximum;
  job.sum = sum;
  job.decay = decay;
  job.limits = limits;
  job.keyStride = keyStride;
  job.valueStride = valueStride;
  job.outputStride = outputStride;
  job.scoreStride = (SCORE_STRIDE << 2);
  job.headDimQk = dQk;
  job.colTiles = colTiles;
  job.rows = rows;
  job.tokens = tokens;
  job.masked = masked ? 1 : 0;
  job.position = position;
  attendNative(spill);
}
