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
import { decodeRows, elementBytes } from '../decode/row';
import { LOG2E } from '../scalar';
import { BAD_CU_SEQLENS_K, BAD_CU_SEQLENS_Q, enterCommand, fail, takeItem } from '../work';

let dtype: i32 = 0;
let headDimQk: i32 = 0;
let headDimV: i32 = 0;
let k: usize = 0;
let kBlock: usize = 0;
let kToken: usize = 0;
let v: usize = 0;
let vBlock: usize = 0;
let vToken: usize = 0;
let page: i32 = 1;
let blockCount: i32 = 0;
let table: usize = 0;
let tableRow: usize = 0;
let tableEntry: usize = 0;
let pagesPerRow: i32 = 1;

/**
 * Queries of request i: tokens cuQ[i] to cuQ[i + 1], at most `maxSeqQ`, or that many where cuQ is 0.
 * Keys of request i: tokens cuK[i] to cuK[i + 1] of a packed k (`page` 0), or `seqlensK[i]` tokens in
 * the pages that row i of the table names, or in block i where there is no table. Offsets and lengths out
 * of range count as the nearest that is in range; a request that ends before it begins has no tokens.
 * `checkOrder` reports offsets that fall.
 */
export function denseAttention(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  maxTileRows: i32,
  dtypeCode: i32,
  batch: i32,
  totalQ: i32,
  hQ: i32,
  hK: i32,
  dQk: i32,
  dV: i32,
  q: usize,
  qToken: usize,
  qHead: usize,
  kAddress: usize,
  kBlockStride: usize,
  kTokenStride: usize,
  kHead: usize,
  vAddress: usize,
  vBlockStride: usize,
  vTokenStride: usize,
  vHead: usize,
  blocks: i32,
  pageTokens: i32,
  totalK: i32,
  tableAddress: usize,
  tableRowStride: usize,
  tableEntryStride: usize,
  maxBlocks: i32,
  maxSeqQ: i32,
  cuQ: usize,
  cuK: usize,
  seqlensK: usize,
  softmaxScale: f64,
  causal: i32,
  out: usize,
  lse: usize,
  checkOrder: i32,
): void {
  enterCommand(context, worker, workers);
  dtype = dtypeCode;
  headDimQk = dQk;
  headDimV = dV;
  kBlock = kBlockStride;
  kToken = kTokenStride;
  vBlock = vBlockStride;
  vToken = vTokenStride;
  page = pageTokens;
  table = tableAddress;
  tableRow = tableRowStride;
  tableEntry = tableEntryStride;
  pagesPerRow = table == 0 ? 1 : maxBlocks;
  blockCount = blocks;
  if (checkOrder != 0) {
    if (cuQ != 0 && !isAscending(cuQ, batch, BAD_CU_SEQLENS_Q)) return;
    if (page == 0 && !isAscending(cuK, batch, BAD_CU_SEQLENS_K)) return;
  }

  const group = hQ / hK;
  const padded = (maxTileRows + 15) & ~15;
  layOut(workspace + <usize>worker * scratchBytes, padded, dQk, dV, true);
  let item = takeItem();
  let base = 0;
  for (let request = 0; request < batch; request++) {
    const firstQ = cuQ == 0 ? request * maxSeqQ : offsetOf(cuQ, request, totalQ);
    const seqQ = cuQ == 0 ? maxSeqQ : min(maxSeqQ, offsetOf(cuQ, request + 1, totalQ) - firstQ);
    if (seqQ <= 0) continue;
    const rows = seqQ * group;
    const tiles = (rows + padded - 1) / padded;
    const end = base + tiles * hK;
    if (item >= end) {
      base = end;
      continue;
    }
    const firstK = page == 0 ? offsetOf(cuK, request, totalK) : 0;
    const seqK =
      page == 0
        ? max(0, offsetOf(cuK, request + 1, totalK) - firstK)
        : seqlenOf(seqlensK, request);
    while (item < end) {
      // Late tiles see most keys under a causal mask: they go first, so that threads end together.
      const tile = tiles - 1 - (item - base) / hK;
      const head = (item - base) % hK;
      const firstRow = tile * padded;
      const rowCount = min(padded, rows - firstRow);
      k = kAddress + <usize>firstK * kToken + <usize>head * kHead;
      v = vAddress + <usize>firstK * vToken + <usize>head * vHead;
      begin(rowCount, rows, <f32>(softmaxScale * LOG2E));
      const qHeads = <usize>(head * group);
      setQueries(q + <usize>firstQ * qToken + qHeads * qHead, qToken, qHead, group);
      packQueries(dtype, firstRow);
      const outHead = <usize>dV << 1;
      const outToken = <usize>hQ * outHead;
      setOutput(dtype, out + <usize>firstQ * outToken + qHeads * outHead, outToken, outHead, 1);
      const lseHead = <usize>totalQ << 2;
      setLse(lse + qHeads * lseHead + (<usize>firstQ << 2), 4, lseHead, group, 0, 0);
      attendTile(request, seqQ, seqK, group, firstRow, rowCount, causal != 0);
      writeTile(firstRow);
      item = takeItem();
    }
    base = end;
  }
}

function attendTile(
  request: i32,
  seqQ: i32,
  seqK: i32,
  group: i32,
  firstRow: i32,
  rowCount: i32,
  causal: bool,
): void {
  let seenByAll = seqK;
  let seenByAny = seqK;
  if (causal) {
    for (let r = 0; r < rowVecs * 4; r++) {
      const row = firstRow + min(r, rowCount - 1);
      store<i32>(limits + (<usize>r << 2), seqK - seqQ + row / group + 1);
    }
    seenByAll = seqK - seqQ + firstRow / group + 1;
    seenByAny = seqK - seqQ + (firstRow + rowCount - 1) / group + 1;
  }
  for (let token = 0; token < seenByAny; token += BLOCK) {
    attendTokens(request, token, min(BLOCK, seenByAny - token), seenByAll);
  }
}

/**
 * Attends to tokens `token` to `token + count`. An entry of the table that is no block of the cache names
 * nothing: its tokens are skipped.
 */
function attendTokens(request: i32, token: i32, count: i32, seenByAll: i32): void {
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
      block = table == 0 ? request : blockOf(request, pageIndex);
    }
    token += run;
    count -= run;
    if (page > 0 && <u32>block >= <u32>blockCount) {
      if (ready > 0) attendBlock(ready, first + ready > seenByAll, first);
      first = token;
      ready = 0;
      continue;
    }
    const rows = <usize>ready;
    const at = <usize>offset;
    const kSource = k + <usize>block * kBlock + at * kToken;
    const vSource = v + <usize>block * vBlock + at * vToken;
    decodeRows(dtype, keys + rows * keyStride, keyStride, kSource, kToken, run, headDimQk);
    decodeRows(dtype, values + rows * valueStride, valueStride, vSource, vToken, run, headDimV);
    ready += run;
  }
  if (ready > 0) attendBlock(ready, first + ready > seenByAll, first);
}

function blockOf(request: i32, pageIndex: i32): i32 {
  return load<i32>(table + <usize>request * tableRow + <usize>pageIndex * tableEntry);
}

/** An offset into a packed array of `total` rows. */
function offsetOf(offsets: usize, index: i32, total: i32): i32 {
  return max(0, min(total, load<i32>(offsets + (<usize>index << 2))));
}

/** Whether offsets never fall. */
function isAscending(offsets: usize, batch: i32, code: i32): bool {
  for (let i = 1; i <= batch; i++) {
    const at = load<i32>(offsets + (<usize>i << 2));
    if (at < load<i32>(offsets + (<usize>(i - 1) << 2))) {
      fail(code, i, 0, at);
      return false;
    }
  }
  return true;
}

/** Tokens of a request in the cache. */
function seqlenOf(seqlensK: usize, index: i32): i32 {
  const length = <i64>load<i32>(seqlensK + (<usize>index << 2));
  return <i32>max<i64>(0, min(length, <i64>pagesPerRow * <i64>page));
}
