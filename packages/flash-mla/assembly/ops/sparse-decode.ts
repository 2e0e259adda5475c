/** Token-sparse MLA decoding: the entries of one or two index lists, one after the other. */

import { attendBlock } from '../attend/block';
import { setLse, setOutput } from '../attend/finish';
import { packQueries, setQueries } from '../attend/pack';
import { BLOCK, begin, keyStride, keys, layOut } from '../attend/tile';
import { BF16 } from '../decode/row';
import { LOG2E } from '../scalar';
import { enterCommand } from '../work';
import { runDecode, SPARSE, setGroupRows } from './decode';
import { rowsPerTile, tileCount } from './rows';
import { decodeSparseRow } from './sparse-rows';
import { beginBlock, endBlock, scheduleIsSound, setSchedule, setSlots } from './splits';

let layout: i32 = 0;
let seqQ: i32 = 0;
let heads: i32 = 0;
let headDimQk: i32 = 0;
let headDimV: i32 = 0;
let q: usize = 0;
let qBatch: usize = 0;
let qPosition: usize = 0;
let qHead: usize = 0;
let scale: f32 = 0;
let sinks: usize = 0;
let out: usize = 0;
let lse: usize = 0;
let tilesPerPosition: i32 = 0;
let tileRows: i32 = 0;

// Main cache, then extra cache (width 0: none).
let cache0: usize = 0;
let tokens0: u32 = 0;
let page0: i32 = 1;
let block0: usize = 0;
let token0: usize = 0;
let indices0: usize = 0;
let indicesBatch0: usize = 0;
let indicesPosition0: usize = 0;
let topk0: i32 = 0;
let lengths0: usize = 0;
let cache1: usize = 0;
let tokens1: u32 = 0;
let page1: i32 = 1;
let block1: usize = 0;
let token1: usize = 0;
let indices1: usize = 0;
let indicesBatch1: usize = 0;
let indicesPosition1: usize = 0;
let topk1: i32 = 0;
let lengths1: usize = 0;

// The group at work.
let request: i32 = 0;
let position: i32 = 0;

/** Lengths are i32 (b), or at address 0 where all entries count. They are clamped to 0…topk. */
export function sparseDecode(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  slotBytes: usize,
  slotCount: i32,
  maxTileRows: i32,
  rowLayout: i32,
  batch: i32,
  sQ: i32,
  hQ: i32,
  dQk: i32,
  dV: i32,
  qAddress: usize,
  qBatchStride: usize,
  qPositionStride: usize,
  qHeadStride: usize,
  softmaxScale: f64,
  attnSink: usize,
  metadata: usize,
  parts: i32,
  numSplits: usize,
  splitBlocks: i32,
  mostSplits: i32,
  outAddress: usize,
  lseAddress: usize,
  cacheAddress: usize,
  cacheBlocks: i32,
  pageTokens: i32,
  cacheBlockStride: usize,
  cacheTokenStride: usize,
  indices: usize,
  indicesBatchStride: usize,
  indicesPositionStride: usize,
  topk: i32,
  topkLengths: usize,
  extraAddress: usize,
  extraBlocks: i32,
  extraPageTokens: i32,
  extraBlockStride: usize,
  extraTokenStride: usize,
  extraIndices: usize,
  extraIndicesBatchStride: usize,
  extraIndicesPositionStride: usize,
  extraTopk: i32,
  extraTopkLengths: usize,
): void {
  enterCommand(context, worker, workers);
  topk0 = topk;
  lengths0 = topkLengths;
  topk1 = extraTopk;
  lengths1 = extraTopkLengths;
  setSchedule(metadata, parts, numSplits, splitBlocks, mostSplits);
  setSlots(workspace + <usize>workers * scratchBytes, slotBytes, slotCount);
  if (!scheduleIsSound(batch)) return;

  layout = rowLayout;
  seqQ = sQ;
  heads = hQ;
  headDimQk = dQk;
  headDimV = dV;
  q = qAddress;
  qBatch = qBatchStride;
  qPosition = qPositionStride;
  qHead = qHeadStride;
  scale = <f32>(softmaxScale * LOG2E);
  sinks = attnSink;
  out = outAddress;
  lse = lseAddress;
  cache0 = cacheAddress;
  tokens0 = <u32>cacheBlocks * <u32>pageTokens;
  page0 = pageTokens;
  block0 = cacheBlockStride;
  token0 = cacheTokenStride;
  indices0 = indices;
  indicesBatch0 = indicesBatchStride;
  indicesPosition0 = indicesPositionStride;
  cache1 = extraAddress;
  tokens1 = <u32>extraBlocks * <u32>extraPageTokens;
  page1 = extraPageTokens;
  block1 = extraBlockStride;
  token1 = extraTokenStride;
  indices1 = extraIndices;
  indicesBatch1 = extraIndicesBatchStride;
  indicesPosition1 = extraIndicesPositionStride;
  tilesPerPosition = tileCount(hQ, maxTileRows);
  tileRows = rowsPerTile(hQ, maxTileRows);
  layOut(workspace + <usize>worker * scratchBytes, tileRows, dQk, dV, false);
  runDecode(SPARSE, batch, sQ * tilesPerPosition);
}

function lengthOf(index: i32): i32 {
  return lengths0 == 0 ? topk0 : clamp(load<i32>(lengths0 + (<usize>index << 2)), topk0);
}

function extraLengthOf(index: i32): i32 {
  return lengths1 == 0 ? topk1 : clamp(load<i32>(lengths1 + (<usize>index << 2)), topk1);
}

function clamp(length: i32, topk: i32): i32 {
  return max(0, min(length, topk));
}

/** Blocks of the main list: at least one. The extra list starts in a block of its own. */
function mainBlocks(index: i32): i32 {
  return max(1, (lengthOf(index) + BLOCK - 1) / BLOCK);
}

/** Points the tile's inputs and outputs at a group; returns the request's blocks. */
export function startSparseGroup(requestIndex: i32, tile: i32): i32 {
  request = requestIndex;
  position = tile / tilesPerPosition;
  const firstRow = (tile % tilesPerPosition) * tileRows;
  setGroupRows(min(tileRows, heads - firstRow), firstRow);

  const outHead = <usize>headDimV << 1;
  const query = <usize>(request * seqQ + position);
  setOutput(BF16, out + query * <usize>heads * outHead, 0, outHead, 1);
  const lseRequest = <usize>request * <usize>heads * <usize>seqQ;
  const lseAt = lse + ((lseRequest + <usize>position) << 2);
  setLse(lseAt, 0, <usize>seqQ << 2, heads, 0, sinks);
  return mainBlocks(request) + (extraLengthOf(request) + BLOCK - 1) / BLOCK;
}

/** Attends to the split that was found last. */
export function sparseItem(rowCount: i32, firstRow: i32): void {
  begin(rowCount, heads, scale);
  const from = q + <usize>request * qBatch + <usize>position * qPosition;
  setQueries(from, 0, qHead, heads);
  packQueries(BF16, firstRow);

  const split = mainBlocks(request);
  const entries0 = lengthOf(request);
  const entries1 = extraLengthOf(request);
  const list0 =
    indices0 + <usize>request * indicesBatch0 + <usize>position * indicesPosition0;
  const list1 =
    indices1 + <usize>request * indicesBatch1 + <usize>position * indicesPosition1;
  let count = 0;
  for (let block = beginBlock; block < endBlock; block++) {
    if (block < split) {
      const first = block * BLOCK;
      count = gather0(list0, first, min(entries0, first + BLOCK), count);
    } else {
      const first = (block - split) * BLOCK;
      count = gather1(list1, first, min(entries1, first + BLOCK), count);
    }
  }
  if (count > 0) attendBlock(count, false, 0);
}

/**
 * Decodes the valid ones of entries `entry` to `end` behind `count` keys already there and attends
 * whenever a block is full. Returns how many keys wait.
 */
function gather0(list: usize, entry: i32, end: i32, count: i32): i32 {
  for (; entry < end; entry++) {
    const index = load<u32>(list + (<usize>entry << 2));
    if (index >= tokens0) continue;
    const target = keys + <usize>count * keyStride;
    const block = cache0 + <usize>(index / <u32>page0) * block0;
    decodeSparseRow(layout, target, block, index % <u32>page0, token0, page0, headDimQk);
    count = attendWhenFull(count + 1);
  }
  return count;
}

/** {@link gather0} for the extra cache. */
function gather1(list: usize, entry: i32, end: i32, count: i32): i32 {
  for (; entry < end; entry++) {
    const index = load<u32>(list + (<usize>entry << 2));
    if (index >= tokens1) continue;
    const target = keys + <usize>count * keyStride;
    const block = cache1 + <usize>(index / <u32>page1) * block1;
    decodeSparseRow(layout, target, block, index % <u32>page1, token1, page1, headDimQk);
    count = attendWhenFull(count + 1);
  }
  return count;
}

function attendWhenFull(count: i32): i32 {
  if (count < BLOCK) return count;
  attendBlock(BLOCK, false, 0);
  return 0;
}
