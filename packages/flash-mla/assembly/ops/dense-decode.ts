/** Dense MLA decoding over a paged cache: values are the first columns of the keys. */

import { attendBlock } from '../attend/block';
import { setLse, setOutput } from '../attend/finish';
import { attendRows, attendsInPlace, setRow } from '../attend/in-place';
import { packPairs, packQueries, setQueries } from '../attend/pack';
import {
  BLOCK,
  begin,
  keyStride,
  keys,
  layOut,
  limits,
  placeTokens,
  rowVecs,
} from '../attend/tile';
import { decodeRows } from '../decode/row';
import { LOG2E } from '../scalar';
import { enterCommand } from '../work';
import { DENSE, runDecode, setGroupRows } from './decode';
import { rowsPerTile, tileCount } from './rows';
import { beginBlock, endBlock, scheduleIsSound, setSchedule, setSlots } from './splits';

let dtype: i32 = 0;
let outType: i32 = 0;
let seqQ: i32 = 0;
let group: i32 = 0;
let headDimQk: i32 = 0;
let headDimV: i32 = 0;
let q: usize = 0;
let qBatch: usize = 0;
let qPosition: usize = 0;
let qHead: usize = 0;
let cache: usize = 0;
let blocks: i32 = 0;
let page: i32 = 0;
let blockStride: usize = 0;
let tokenStride: usize = 0;
let kvHeadStride: usize = 0;
let table: usize = 0;
let tableRow: usize = 0;
let tableEntry: usize = 0;
let seqlens: usize = 0;
let seqlensStride: usize = 0;
/** The most tokens that the block table can hold. */
let maxSeqlen: i32 = 0;
let scale: f32 = 0;
let outScale: f32 = 1;
let causal: bool = false;
let out: usize = 0;
let lse: usize = 0;
let heads: i32 = 0;
let tilesPerHead: i32 = 0;
let tileRows: i32 = 0;

// The group at work.
let request: i32 = 0;
let kvHead: i32 = 0;
let seqlen: i32 = 0;

export function denseDecode(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  slotBytes: usize,
  slotCount: i32,
  maxTileRows: i32,
  dtypeCode: i32,
  outTypeCode: i32,
  batch: i32,
  sQ: i32,
  hQ: i32,
  hK: i32,
  dQk: i32,
  dV: i32,
  qAddress: usize,
  qBatchStride: usize,
  qPositionStride: usize,
  qHeadStride: usize,
  cacheAddress: usize,
  cacheBlocks: i32,
  pageTokens: i32,
  cacheBlockStride: usize,
  cacheTokenStride: usize,
  cacheHeadStride: usize,
  tableAddress: usize,
  tableRowStride: usize,
  tableEntryStride: usize,
  maxBlocks: i32,
  seqlensAddress: usize,
  seqlensEntryStride: usize,
  softmaxScale: f64,
  isCausal: i32,
  descaleQ: usize,
  descaleK: usize,
  metadata: usize,
  parts: i32,
  numSplits: usize,
  splitBlocks: i32,
  mostSplits: i32,
  outAddress: usize,
  lseAddress: usize,
): void {
  enterCommand(context, worker, workers);
  seqlens = seqlensAddress;
  seqlensStride = seqlensEntryStride;
  table = tableAddress;
  tableRow = tableRowStride;
  tableEntry = tableEntryStride;
  page = pageTokens;
  maxSeqlen = <i32>min<i64>(<i64>maxBlocks * <i64>pageTokens, <i64>i32.MAX_VALUE);
  setSchedule(metadata, parts, numSplits, splitBlocks, mostSplits);
  setSlots(workspace + <usize>workers * scratchBytes, slotBytes, slotCount);
  if (!scheduleIsSound(batch)) return;

  dtype = dtypeCode;
  outType = outTypeCode;
  seqQ = sQ;
  heads = hQ;
  group = hQ / hK;
  headDimQk = dQk;
  headDimV = dV;
  q = qAddress;
  qBatch = qBatchStride;
  qPosition = qPositionStride;
  qHead = qHeadStride;
  cache = cacheAddress;
  blocks = cacheBlocks;
  blockStride = cacheBlockStride;
  tokenStride = cacheTokenStride;
  kvHeadStride = cacheHeadStride;
  outScale = descaleK == 0 ? 1 : load<f32>(descaleK);
  const descale = descaleQ == 0 ? <f64>outScale : <f64>load<f32>(descaleQ) * <f64>outScale;
  scale = <f32>(softmaxScale * LOG2E * descale);
  causal = isCausal != 0;
  out = outAddress;
  lse = lseAddress;
  tilesPerHead = tileCount(sQ * group, maxTileRows);
  tileRows = rowsPerTile(sQ * group, maxTileRows);
  layOut(workspace + <usize>worker * scratchBytes, tileRows, dQk, dV, false);
  runDecode(DENSE, batch, hK * tilesPerHead);
}

function seqlenOf(index: i32): i32 {
  const length = load<i32>(seqlens + <usize>index * seqlensStride);
  return max(0, min(length, maxSeqlen));
}

function blockOf(index: i32, pageIndex: i32): i32 {
  return load<i32>(table + <usize>index * tableRow + <usize>pageIndex * tableEntry);
}

/** Points the tile's inputs and outputs at a group; returns the request's blocks. */
export function startDenseGroup(requestIndex: i32, tile: i32): i32 {
  request = requestIndex;
  kvHead = tile / tilesPerHead;
  seqlen = seqlenOf(request);
  const firstRow = (tile % tilesPerHead) * tileRows;
  setGroupRows(min(tileRows, seqQ * group - firstRow), firstRow);

  const head = <usize>(kvHead * group);
  const outHead = <usize>headDimV << 1;
  const outPosition = <usize>heads * outHead;
  const outRequest = <usize>(request * seqQ) * outPosition;
  setOutput(outType, out + outRequest + head * outHead, outPosition, outHead, outScale);
  const lseRequest = <usize>request * <usize>heads + head;
  setLse(lse + ((lseRequest * <usize>seqQ) << 2), 4, <usize>seqQ << 2, group, 0, 0);
  return max(1, (seqlen + BLOCK - 1) / BLOCK);
}

/** Attends to the split that was found last. */
export function denseItem(rowCount: i32, firstRow: i32): void {
  begin(rowCount, seqQ * group, scale);
  const from = q + <usize>request * qBatch + <usize>(kvHead * group) * qHead;
  setQueries(from, qPosition, qHead, group);
  const inPlace = attendsInPlace(dtype);
  if (inPlace) packPairs(firstRow);
  else packQueries(dtype, firstRow);

  // Rows are ordered by position, so the last one sees most and the first one least.
  let seenByAll = seqlen;
  let seenByAny = seqlen;
  if (causal) {
    for (let r = 0; r < rowVecs * 4; r++) {
      const row = firstRow + min(r, rowCount - 1);
      store<i32>(limits + (<usize>r << 2), seqlen - seqQ + row / group + 1);
    }
    seenByAll = seqlen - seqQ + firstRow / group + 1;
    seenByAny = seqlen - seqQ + (firstRow + rowCount - 1) / group + 1;
  }
  const end = <i32>min<i64>(<i64>endBlock * <i64>BLOCK, <i64>seenByAny);
  if (inPlace) {
    attendInPlace(beginBlock * BLOCK, end, seenByAll);
    return;
  }
  for (let token = beginBlock * BLOCK; token < end; token += BLOCK) {
    const count = min(BLOCK, end - token);
    attendTokens(token, count, seenByAll);
  }
}

/**
 * Attends to tokens `token` to `token + count`, read page by page, in place. An entry of the table that
 * is no block of the cache names nothing: its tokens are skipped.
 */
function attendTokens(token: i32, count: i32, seenByAll: i32): void {
  let first = token;
  let ready = 0;
  while (count > 0) {
    const offset = token % page;
    const run = min(count, page - offset);
    const block = blockOf(request, token / page);
    token += run;
    count -= run;
    if (<u32>block < <u32>blocks) {
      const source =
        cache +
        <usize>block * blockStride +
        <usize>offset * tokenStride +
        <usize>kvHead * kvHeadStride;
      const target = keys + <usize>ready * keyStride;
      decodeRows(dtype, target, keyStride, source, tokenStride, run, headDimQk);
      ready += run;
    } else {
      if (ready > 0) attendBlock(ready, first + ready > seenByAll, first);
      first = token;
      ready = 0;
    }
  }
  if (ready > 0) attendBlock(ready, first + ready > seenByAll, first);
}

/** Tokens `token` to `end`, where they lie; otherwise as {@link attendTokens}. */
function attendInPlace(token: i32, end: i32, seenByAll: i32): void {
  let first = token;
  let ready = 0;
  while (token < end) {
    const offset = token % page;
    const run = min(min(end - token, page - offset), placeTokens - ready);
    const block = blockOf(request, token / page);
    const known = <u32>block < <u32>blocks;
    if (known) {
      let source =
        cache +
        <usize>block * blockStride +
        <usize>offset * tokenStride +
        <usize>kvHead * kvHeadStride;
      for (let i = 0; i < run; i++) {
        setRow(ready++, source);
        source += tokenStride;
      }
    }
    token += run;
    if (!known || ready == placeTokens || token >= end) {
      if (ready > 0) attendRows(ready, first + ready > seenByAll, first);
      first = token;
      ready = 0;
    }
  }
}
