/**
 * bf16 tokens that machine code attends to where they lie in the cache, by a list of their addresses. The job
 * is that of src/runtime/cpu/native/kernels/rows/job.ts.
 */

import { decodeRow } from '../decode/row';
import { attendBlock } from './block';
import { packQueries, pairsFirstRow } from './pack';
import {
  BLOCK,
  colTiles,
  dQk,
  dV,
  decay,
  keyStride,
  keys,
  limits,
  maximum,
  nativeTile,
  outputStride,
  outputs,
  pairQueries,
  placeScoreStride,
  placeScores,
  placeTokens,
  rowList,
  rows,
  scaleLog2,
  spill,
  staging,
  sum,
  valuePairStride,
  valuePairs,
} from './tile';

/** What decode/row.ts calls BF16, the only type of tokens in place. */
const BF16: i32 = 0;

/** Runs the machine code on the job at this address. */
@external("env", "attendRowsNative")
declare function attendRowsNative(job: usize): void;

/** Whether the tile that was begun attends to tokens of this type in place. */
export function attendsInPlace(dtype: i32): bool {
  const fits = dQk % 32 == 0 && dV % 32 == 0;
  return placeTokens > 0 && nativeTile && dtype == BF16 && fits && scaleLog2 > 0;
}

/** Names token `index` of those that are attended to next. */
export function setRow(index: i32, address: usize): void {
  store<u32>(rowList + (<usize>index << 2), <u32>address);
}

/** Like attendBlock(), of the first `tokens` that were named. */
export function attendRows(tokens: i32, masked: bool, position: i32): void {
  // Machine code takes tokens by the dozen; what it computes for these does not count.
  const last = load<u32>(rowList + (<usize>(tokens - 1) << 2));
  for (let t = tokens; t < ((tokens + 31) & ~31); t++) setRow(t, last);
  const job = spill;
  store<u32>(job, <u32>pairQueries);
  store<u32>(job, <u32>rowList, 4);
  store<u32>(job, <u32>valuePairs, 8);
  store<u32>(job, <u32>placeScores, 12);
  store<u32>(job, <u32>outputs, 16);
  store<u32>(job, <u32>maximum, 20);
  store<u32>(job, <u32>sum, 24);
  store<u32>(job, <u32>decay, 28);
  store<u32>(job, <u32>limits, 32);
  store<u32>(job, <u32>valuePairStride(), 36);
  store<u32>(job, <u32>outputStride, 40);
  store<u32>(job, <u32>placeScoreStride(), 44);
  store<i32>(job, dQk, 48);
  store<i32>(job, colTiles, 52);
  store<i32>(job, rows, 56);
  store<i32>(job, tokens, 60);
  store<i32>(job, masked ? 1 : 0, 64);
  store<i32>(job, position, 68);
  store<f32>(job, scaleLog2, 72);
  store<u32>(job, 0, 76);
  store<u32>(job, <u32>staging, 80);
  attendRowsNative(job);
  if (load<u32>(job, 76) != 0) attendDecoded(tokens, position);
}

/** The careful way, for infinities and NaN that only some rows see. */
function attendDecoded(tokens: i32, position: i32): void {
  packQueries(BF16, pairsFirstRow);
  for (let first = 0; first < tokens; first += BLOCK) {
    const count = min(BLOCK, tokens - first);
    for (let t = 0; t < count; t++) {
      const row = load<u32>(rowList + (<usize>(first + t) << 2));
      decodeRow(BF16, keys + <usize>t * keyStride, row, dQk);
    }
    attendBlock(count, true, position + first);
  }
}
