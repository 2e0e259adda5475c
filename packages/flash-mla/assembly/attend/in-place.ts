/** bf16 tokens that machine code attends to where they lie in the cache, by a list of their addresses. */

import { decodeRow } from '../decode/row';
import { BF16 } from '../generated/commands';
import { RowsJob } from '../generated/native';
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

/** Runs the machine code on the job at this address. */
@external("env", "attendRowsNative")
declare function attendRowsNative(job: usize): void;

/** Whether the tile that was begun attends to tokens of this type in place; bf16 is the only one. */
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
  const job = changetype<RowsJob>(spill);
  job.queries = pairQueries;
  job.rowList = rowList;
  job.valuePairs = valuePairs;
  job.scores = placeScores;
  job.outputs = outputs;
  job.maximum = maximum;
  job.sum = sum;
  job.decay = decay;
  job.limits = limits;
  job.valueStride = valuePairStride();
  job.outputStride = outputStride;
  job.scoreStride = placeScoreStride();
  job.headDimQk = dQk;
  job.colTiles = colTiles;
  job.rows = rows;
  job.tokens = tokens;
  job.masked = masked ? 1 : 0;
  job.position = position;
  job.scale = scaleLog2;
  job.status = 0;
  job.staging = staging;
  attendRowsNative(spill);
  if (job.status != 0) attendDecoded(tokens, position);
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
