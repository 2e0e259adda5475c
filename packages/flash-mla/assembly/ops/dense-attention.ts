/** Dense MHA/GQA over packed sequences or a cache. Rows of a tile: query positions × heads of a group. */

import { attendBlock } from '../attend/block';
import { setLse, setOutput, writeTile } from '../attend/finish';
import { packQueries, setQueries } from '../attend/pack';
import {
  BLOCK,
  begin,
  keyStride,
  keys,
  layOut,
  limits,
  rowVecs,
  values,
  valueStride,
} from '../attend/tile';
import { decodeRows } from '../decode/row';
import {
  BAD_CU_SEQLENS_K,
  BAD_CU_SEQLENS_Q,
  DenseAttention,
  KeysOrValues,
} from '../generated/attention';
import { LOG2E } from '../scalar';

// The item at work: its request, its KV head and the first token of a packed k.
let request: i32 = 0;
let head: i32 = 0;
let firstK: i32 = 0;

/**
 * Queries of request i: tokens cuSeqlensQ[i] to cuSeqlensQ[i + 1], at most `maxSeqLenQ`, or that many where
 * there is no cuSeqlensQ. Keys of request i: tokens cuSeqlensK[i] to cuSeqlensK[i + 1] of a packed k, or
 * `seqlensK[i]` tokens in the pages that row i of the table names, or in block i where there is no table.
 * Offsets and lengths out of range count as the nearest that is in range; a request that ends before it begins
 * has no tokens.
 */
export function denseAttention(command: DenseAttention): void {
  const cuQ = command.cuSeqlensQ;
  const cuK = command.cuSeqlensK;
  const page = command.pageSize;
  const batch = command.batch;
  if (command.checkOrder) {
    if (cuQ != 0 && !isAscending(command, cuQ, BAD_CU_SEQLENS_Q)) return;
    if (page == 0 && !isAscending(command, cuK, BAD_CU_SEQLENS_K)) return;
  }

  const totalQ = command.totalQ;
  const maxSeqLenQ = command.maxSeqLenQ;
  const numHeadsKv = command.numHeadsKv;
  const group = command.numHeadsQ / numHeadsKv;
  const padded = (command.tileRows + 15) & ~15;
  const scratch = command.scratch(command.scratchBytes);
  layOut(scratch, padded, command.headDimQk, command.headDimV, true);
  let item = command.takeItem();
  let base = 0;
  for (request = 0; request < batch; request++) {
    const firstQ = cuQ == 0 ? request * maxSeqLenQ : offsetOf(cuQ, request, totalQ);
    const seqQ =
      cuQ == 0 ? maxSeqLenQ : min(maxSeqLenQ, offsetOf(cuQ, request + 1, totalQ) - firstQ);
    if (seqQ <= 0) continue;
    const rows = seqQ * group;
    const tiles = (rows + padded - 1) / padded;
    const end = base + tiles * numHeadsKv;
    if (item >= end) {
      base = end;
      continue;
    }
    firstK = page == 0 ? offsetOf(cuK, request, command.totalK) : 0;
    const seqK =
      page == 0
        ? max(0, offsetOf(cuK, request + 1, command.totalK) - firstK)
        : seqlenOf(command, request);
    while (item < end) {
      // Late tiles see most keys under a causal mask: they go first, so that threads end together.
      const tile = tiles - 1 - (item - base) / numHeadsKv;
      head = (item - base) % numHeadsKv;
      const firstRow = tile * padded;
      const rowCount = min(padded, rows - firstRow);
      begin(rowCount, rows, <f32>(command.softmaxScale * LOG2E));
      setPlaces(command, group, firstQ);
      packQueries(command.dtype, firstRow);
      attendTile(command, seqQ, seqK, group, firstRow, rowCount);
      writeTile(firstRow);
      item = command.takeItem();
    }
    base = end;
  }
}

/** Points the tile's queries and outputs at the item, whose request begins with query `firstQ`. */
function setPlaces(command: DenseAttention, group: i32, firstQ: i32): void {
  const qToken = command.qTokenStride;
  const qHead = command.qHeadStride;
  const qHeads = <usize>(head * group);
  setQueries(command.q + <usize>firstQ * qToken + qHeads * qHead, qToken, qHead, group);
  const outHead = <usize>command.headDimV << 1;
  const outToken = <usize>command.numHeadsQ * outHead;
  const out = command.out + <usize>firstQ * outToken + qHeads * outHead;
  setOutput(command.dtype, out, outToken, outHead, 1);
  const lseHead = <usize>command.totalQ << 2;
  setLse(command.lse + qHeads * lseHead + (<usize>firstQ << 2), 4, lseHead, group, 0, 0);
}

function attendTile(
  command: DenseAttention,
  seqQ: i32,
  seqK: i32,
  group: i32,
  firstRow: i32,
  rowCount: i32,
): void {
  let seenByAll = seqK;
  let seenByAny = seqK;
  if (command.causal) {
    for (let r = 0; r < rowVecs * 4; r++) {
      const row = firstRow + min(r, rowCount - 1);
      store<i32>(limits + (<usize>r << 2), seqK - seqQ + row / group + 1);
    }
    seenByAll = seqK - seqQ + firstRow / group + 1;
    seenByAny = seqK - seqQ + (firstRow + rowCount - 1) / group + 1;
  }
  for (let token = 0; token < seenByAny; token += BLOCK) {
    attendTokens(command, token, min(BLOCK, seenByAny - token), seenByAll);
  }
}

/**
 * Attends to tokens `token` to `token + count`. An entry of the table that is no block of the cache names
 * nothing: its tokens are skipped.
 */
function attendTokens(command: DenseAttention, token: i32, count: i32, seenByAll: i32): void {
  const page = command.pageSize;
  let first = token;
  let ready = 0;
  while (count > 0) {
    let run = count;
    let block = 0;
    let offset = token;
    if (page > 0) {
      const pageIndex = token / page;
      offset = token - pageIndex * page;
      run = min(count, page - offset);
      block = command.blockTable == 0 ? request : blockOf(command, pageIndex);
    }
    token += run;
    count -= run;
    if (page > 0 && <u32>block >= <u32>command.numBlocks) {
      if (ready > 0) attendBlock(ready, first + ready > seenByAll, first);
      first = token;
      ready = 0;
      continue;
    }
    const kTarget = keys + <usize>ready * keyStride;
    const vTarget = values + <usize>ready * valueStride;
    decodeTokens(command, command.k, block, offset, run, kTarget, keyStride, command.headDimQk);
    decodeTokens(command, command.v, block, offset, run, vTarget, valueStride, command.headDimV);
    ready += run;
  }
  if (ready > 0) attendBlock(ready, first + ready > seenByAll, first);
}

/** Decodes `count` tokens of a block, of the item's KV head. */
function decodeTokens(
  command: DenseAttention,
  from: KeysOrValues,
  block: i32,
  offset: i32,
  count: i32,
  target: usize,
  targetStride: usize,
  dims: i32,
): void {
  const stride = from.tokenStride;
  const source =
    from.address +
    <usize>firstK * stride +
    <usize>head * from.headStride +
    <usize>block * from.blockStride +
    <usize>offset * stride;
  decodeRows(command.dtype, target, targetStride, source, stride, count, dims);
}

function blockOf(command: DenseAttention, pageIndex: i32): i32 {
  return load<i32>(
    command.blockTable +
      <usize>request * command.tableRowStride +
      <usize>pageIndex * command.tableEntryStride,
  );
}

/** An offset into a packed array of `total` rows. */
function offsetOf(offsets: usize, index: i32, total: i32): i32 {
  return max(0, min(total, load<i32>(offsets + (<usize>index << 2))));
}

/** Whether offsets never fall. */
function isAscending(command: DenseAttention, offsets: usize, code: i32): bool {
  for (let i = 1; i <= command.batch; i++) {
    const at = load<i32>(offsets + (<usize>i << 2));
    if (at < load<i32>(offsets + (<usize>(i - 1) << 2))) {
      command.fail(code, i, 0, at);
      return false;
    }
  }
  return true;
}

/** Tokens of a request in the cache. */
function seqlenOf(command: DenseAttention, index: i32): i32 {
  const length = <i64>load<i32>(command.seqlensK + (<usize>index << 2));
  const pages = command.blockTable == 0 ? 1 : command.tableWidth;
  return <i32>max<i64>(0, min(length, <i64>pages * <i64>command.pageSize));
}
