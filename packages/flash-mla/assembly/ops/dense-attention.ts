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
import {
  BAD_BLOCK,
  BAD_CU_SEQLENS_K,
  BAD_CU_SEQLENS_Q,
  BAD_SEQLEN,
  enterCommand,
  fail,
  takeItem,
} from '../work';

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
let table: usize = 0;
let tableRow: usize = 0;
let tableEntry: usize = 0;
let pagesPerRow: i32 = 1;

/**
 * Queries of request i: tokens cuQ[i] to cuQ[i + 1], or `maxSeqQ` each where cuQ is 0.
 * Keys of request i: tokens cuK[i] to cuK[i + 1] of a packed k (`page` 0), or `seqlensK[i]` tokens in
 * the pages that row i of the table names, or in block i where there is no table.
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
  checkLengths: i32,
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
  if (cuQ != 0 && !prefixIsSound(cuQ, batch, totalQ, BAD_CU_SEQLENS_Q)) return;
  if (page == 0) {
    if (!prefixIsSound(cuK, batch, totalK, BAD_CU_SEQLENS_K)) return;
  } else if (!cacheIsSound(seqlensK, batch, blocks, checkLengths != 0)) {
    return;
  }

  const group = hQ / hK;
  const padded = (maxTileRows + 15) & ~15;
  layOut(workspace + <usize>worker * scratchBytes, padded, dQk, dV, true);
  let item = takeItem();
  let base = 0;
  for (let request = 0; request < batch; request++) {
    const at = cuQ + (<usize>request << 2);
    const firstQ = cuQ == 0 ? request * maxSeqQ : load<i32>(at);
    const seqQ = cuQ == 0 ? maxSeqQ : load<i32>(at, 4) - firstQ;
    const rows = seqQ * group;
    const tiles = (rows + padded - 1) / padded;
    const end = base + tiles * hK;
    if (item >= end) {
      base = end;
      continue;
    }
    const firstK = page == 0 ? load<i32>(cuK + (<usize>request << 2)) : 0;
    const seqK =
      page == 0
        ? load<i32>(cuK + (<usize>request << 2), 4) - firstK
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
    const count = min(BLOCK, seenByAny - token);
    decodeBlock(request, token, count);
    attendBlock(count, token + count > seenByAll, token);
  }
}

function decodeBlock(request: i32, token: i32, count: i32): void {
  let done = 0;
  while (done < count) {
    let run = count;
    let block: usize = 0;
    let offset = token;
    if (page > 0) {
      const pageIndex = token / page;
      offset = token - pageIndex * page;
      run = min(count - done, page - offset);
      block = <usize>(table == 0 ? request : blockOf(request, pageIndex));
    }
    const rows = <usize>done;
    const at = <usize>offset;
    const kSource = k + block * kBlock + at * kToken;
    const vSource = v + block * vBlock + at * vToken;
    decodeRows(dtype, keys + rows * keyStride, keyStride, kSource, kToken, run, headDimQk);
    decodeRows(dtype, values + rows * valueStride, valueStride, vSource, vToken, run, headDimV);
    done += run;
    token += run;
  }
}

function blockOf(request: i32, pageIndex: i32): i32 {
  return load<i32>(table + <usize>request * tableRow + <usize>pageIndex * tableEntry);
}

/** Whether prefix sums begin at or above 0, never fall and end within `total`. */
function prefixIsSound(prefix: usize, batch: i32, total: i32, code: i32): bool {
  let before = 0;
  for (let i = 0; i <= batch; i++) {
    const at = load<i32>(prefix + (<usize>i << 2));
    if (at < before || at > total) {
      fail(code, i, total, at);
      return false;
    }
    before = at;
  }
  return true;
}

/** Tokens of a request in the cache. */
function seqlenOf(seqlensK: usize, index: i32): i32 {
  const length = <i64>load<i32>(seqlensK + (<usize>index << 2));
  return <i32>max<i64>(0, min(length, <i64>pagesPerRow * <i64>page));
}

function cacheIsSound(seqlensK: usize, batch: i32, blocks: i32, checkLengths: bool): bool {
  for (let i = 0; i < batch; i++) {
    const length = seqlenOf(seqlensK, i);
    const given = load<i32>(seqlensK + (<usize>i << 2));
    if (checkLengths && length != given) {
      fail(BAD_SEQLEN, i, pagesPerRow, given);
      return false;
    }
    const pages = (length + page - 1) / page;
    for (let p = 0; p < pages; p++) {
      const block = table == 0 ? i : blockOf(i, p);
      if (<u32>block >= <u32>blocks) {
        fail(BAD_BLOCK, i, p, block);
        return false;
      }
    }
  }
  return true;
}
