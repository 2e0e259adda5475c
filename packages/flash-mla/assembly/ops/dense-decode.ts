/** Dense MLA decoding over a paged cache: values are the first columns of the keys. */

import { attendBlock } from '../attend/block';
import { setLse, setOutput } from '../attend/finish';
import { attendRows, beginInPlace, endInPlace, setRow } from '../attend/in-place';
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
import { DenseDecode } from '../generated/attention';
import { LOG2E } from '../scalar';
import {
  COMBINE,
  combineSplits,
  DONE,
  endItem,
  findBlocks,
  nextStep,
  request,
  startDecode,
  tile,
} from './decode';
import { rowsPerTile, tileCount } from './rows';
import { beginBlock, endBlock, scheduleIsSound } from './splits';

// The group at work.
let kvHead: i32 = 0;
let seqlen: i32 = 0;

export function denseDecode(command: DenseDecode): void {
  const plan = command.plan;
  if (!scheduleIsSound(command, plan, command.batch)) return;

  const numHeadsKv = command.numHeadsKv;
  const group = command.numHeadsQ / numHeadsKv;
  const allRows = command.seqLenQ * group;
  const outScale: f32 = command.descaleK == 0 ? 1 : load<f32>(command.descaleK);
  const descale =
    command.descaleQ == 0 ? <f64>outScale : <f64>load<f32>(command.descaleQ) * <f64>outScale;
  const scale = <f32>(command.softmaxScale * LOG2E * descale);
  const tilesPerHead = tileCount(allRows, plan.tileRows);
  const tileRows = rowsPerTile(allRows, plan.tileRows);
  layOut(command.scratch(plan.scratchBytes), tileRows, command.headDimQk, command.headDimV, false);
  startDecode(command, plan, command.batch, numHeadsKv * tilesPerHead);
  for (let step = nextStep(); step != DONE; step = nextStep()) {
    kvHead = tile / tilesPerHead;
    seqlen = seqlenOf(command, request);
    const firstRow = (tile % tilesPerHead) * tileRows;
    const rowCount = min(tileRows, allRows - firstRow);
    setTarget(command, group, outScale);
    if (step == COMBINE) {
      combineSplits(rowCount, firstRow);
    } else {
      findBlocks(max(1, (seqlen + BLOCK - 1) / BLOCK));
      begin(rowCount, allRows, scale);
      attendSplit(command, group, rowCount, firstRow);
      if (!endInPlace()) {
        begin(rowCount, allRows, scale);
        attendSplit(command, group, rowCount, firstRow);
        endInPlace();
      }
      endItem(firstRow);
    }
  }
}

function seqlenOf(command: DenseDecode, index: i32): i32 {
  // The most tokens that the block table can hold.
  const most = <i64>command.tableWidth * <i64>command.pageSize;
  const length = load<i32>(command.seqlens + <usize>index * command.seqlensStride);
  return max(0, min(length, <i32>min<i64>(most, <i64>i32.MAX_VALUE)));
}

function blockOf(command: DenseDecode, index: i32, pageIndex: i32): i32 {
  return load<i32>(
    command.blockTable +
      <usize>index * command.tableRowStride +
      <usize>pageIndex * command.tableEntryStride,
  );
}

/** Points the tile's outputs at the group. */
function setTarget(command: DenseDecode, group: i32, outScale: f32): void {
  const heads = <usize>command.numHeadsQ;
  const seqLenQ = command.seqLenQ;
  const head = <usize>(kvHead * group);
  const outHead = <usize>command.headDimV << 1;
  const outPosition = heads * outHead;
  const outRequest = command.out + <usize>(request * seqLenQ) * outPosition;
  setOutput(command.outType, outRequest + head * outHead, outPosition, outHead, outScale);
  const lseRow = <usize>request * heads + head;
  setLse(command.lse + ((lseRow * <usize>seqLenQ) << 2), 4, <usize>seqLenQ << 2, group, 0, 0);
}

/** Attends to the split that was found last. */
function attendSplit(command: DenseDecode, group: i32, rowCount: i32, firstRow: i32): void {
  const qHead = command.qHeadStride;
  const from = command.q + <usize>request * command.qBatchStride + <usize>(kvHead * group) * qHead;
  setQueries(from, command.qPositionStride, qHead, group);
  const inPlace = beginInPlace(command.dtype);
  if (inPlace) packPairs(firstRow);
  else packQueries(command.dtype, firstRow);

  // Rows are ordered by position, so the last one sees most and the first one least.
  let seenByAll = seqlen;
  let seenByAny = seqlen;
  if (command.causal) {
    const before = seqlen - command.seqLenQ;
    for (let r = 0; r < rowVecs * 4; r++) {
      const row = firstRow + min(r, rowCount - 1);
      store<i32>(limits + (<usize>r << 2), before + row / group + 1);
    }
    seenByAll = before + firstRow / group + 1;
    seenByAny = before + (firstRow + rowCount - 1) / group + 1;
  }
  const end = <i32>min<i64>(<i64>endBlock * <i64>BLOCK, <i64>seenByAny);
  if (inPlace) {
    attendInPlace(command, beginBlock * BLOCK, end, seenByAll);
    return;
  }
  for (let token = beginBlock * BLOCK; token < end; token += BLOCK) {
    const count = min(BLOCK, end - token);
    attendTokens(command, token, count, seenByAll);
  }
}

/** Where a token of a block of the cache lies. */
// @ts-ignore: decorator
@inline
function tokenAt(command: DenseDecode, block: i32, offset: i32): usize {
  return (
    command.cache +
    <usize>block * command.blockStride +
    <usize>offset * command.tokenStride +
    <usize>kvHead * command.kvHeadStride
  );
}

/**
 * Attends to tokens `token` to `token + count`, read page by page, in place. An entry of the table that
 * is no block of the cache names nothing: its tokens are skipped.
 */
function attendTokens(command: DenseDecode, token: i32, count: i32, seenByAll: i32): void {
  const page = command.pageSize;
  let first = token;
  let ready = 0;
  while (count > 0) {
    const offset = token % page;
    const run = min(count, page - offset);
    const block = blockOf(command, request, token / page);
    token += run;
    count -= run;
    if (<u32>block < <u32>command.numBlocks) {
      const source = tokenAt(command, block, offset);
      const target = keys + <usize>ready * keyStride;
      const tokenStride = command.tokenStride;
      decodeRows(command.dtype, target, keyStride, source, tokenStride, run, command.headDimQk);
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
function attendInPlace(command: DenseDecode, token: i32, end: i32, seenByAll: i32): void {
  const page = command.pageSize;
  const tokenStride = command.tokenStride;
  let first = token;
  let ready = 0;
  while (token < end) {
    const offset = token % page;
    const run = min(min(end - token, page - offset), placeTokens - ready);
    const block = blockOf(command, request, token / page);
    const known = <u32>block < <u32>command.numBlocks;
    if (known) {
      let source = tokenAt(command, block, offset);
      for (let i = 0; i < run; i++) {
        setRow(ready++, source);
        source += tokenStride;
      }
    }
    token += run;
    if (!known || ready == placeTokens || token >= end) {
      if (ready > 0) attendRows(ready, first + ready > seenByAll, first, ahead(command, token, end));
      first = token;
      ready = 0;
    }
  }
}

/** Where token `token` lies, if more tokens follow it there: worth to be asked for ahead of time. Else 0. */
function ahead(command: DenseDecode, token: i32, end: i32): usize {
  const page = command.pageSize;
  const offset = token % page;
  if (token >= end || page - offset < BLOCK) return 0;
  const block = blockOf(command, request, token / page);
  return <u32>block < <u32>command.numBlocks ? tokenAt(command, block, offset) : 0;
}
