/** bf16 tokens that machine code attends to where they lie in the cache, by a list of their addresses. */

import { decodeRow } from '../decode/row';
import { BF16 } from '../generated/commands';
import { RowsJob } from '../generated/native';
import { attendBlock } from './block';
import { joinColumns, separateColumns } from './column-pairs';
import { packQueries, pairsFirstRow } from './pack';
import {
  BLOCK,
  colTiles,
  columnPairs,
  dQk,
  dV,
  decay,
  hasTiles,
  keyStride,
  keys,
  limits,
  maximum,
  nativeTile,
  onePanel,
  outputStride,
  outputs,
  pairQueries,
  placeScoreStride,
  placeScores,
  placeTokens,
  rowList,
  rows,
  scaleLog2,
  setColumnPairs,
  spill,
  staging,
  sum,
  valuePairStride,
  valuePairs,
} from './tile';

/** Runs the machine code on the job at this address. */
@external("env", "attendRowsNative")
declare function attendRowsNative(job: usize): void;

/** Whether the item at hand goes without column pairs, which have spoilt it. */
let isCareful: bool = false;

/** Whether the tile that was begun attends to tokens of this type in place; bf16 is the only one. */
export function beginInPlace(dtype: i32): bool {
  const fits = dQk % 32 == 0 && dV % 32 == 0;
  const inPlace = placeTokens > 0 && nativeTile && dtype == BF16 && fits && scaleLog2 > 0;
  // Outputs are zeros, in any order.
  setColumnPairs(inPlace && pairsColumns());
  return inPlace;
}

/** Machine code for up to 16 rows takes values as they lie, and leaves outputs as even and odd columns. */
function pairsColumns(): bool {
  return hasTiles && onePanel && !isCareful;
}

/**
 * Puts outputs into order at the end of an item. False where it is to be done again: an infinity or NaN among the
 * values has spoilt the column beside it. It has then made its own column so in every row.
 */
export function endInPlace(): bool {
  const isSound = !columnPairs || joinColumns(rows);
  isCareful = !isSound;
  return isSound;
}

/** Names token `index` of those that are attended to next. */
export function setRow(index: i32, address: usize): void {
  store<u32>(rowList + (<usize>index << 2), <u32>address);
}

/**
 * Like attendBlock(), of the first `tokens` that were named. `next`: where those behind them begin, in one piece;
 * 0 where that is not known.
 */
export function attendRows(tokens: i32, masked: bool, position: i32, next: usize): void {
  const pairs = pairsColumns();
  if (pairs && !columnPairs) separateColumns();
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
  job.columnPairs = pairs ? 1 : 0;
  job.next = next;
  attendRowsNative(spill);
  if (job.status != 0) attendDecoded(tokens, position);
}

/** The careful way, for infinities and NaN that only some rows see. */
function attendDecoded(tokens: i32, position: i32): void {
  attendsToDecoded();
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

/** To be called before attendBlock() attends to more of an item that was begun in place. */
export function attendsToDecoded(): void {
  if (columnPairs) joinColumns(rows);
}
