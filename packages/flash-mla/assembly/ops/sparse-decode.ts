/** Token-sparse MLA decoding: the entries of one or two index lists, one after the other. */

import { attendBlock } from '../attend/block';
import { setLse, setOutput } from '../attend/finish';
import { attendRows, attendsToDecoded, beginInPlace, endInPlace, setRow } from '../attend/in-place';
import { packPairs, packQueries, setQueries } from '../attend/pack';
import { BLOCK, begin, keyStride, keys, layOut, placeTokens } from '../attend/tile';
import { nameModel1, nameV32, unpackRows } from '../attend/unpack';
import { SparseCache, SparseDecode } from '../generated/attention';
import { BF16 } from '../generated/commands';
import { BF16_ROWS, MODEL1, V32 } from '../generated/kernel-lib';
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
import { decodeSparseRow } from './sparse-rows';
import { beginBlock, endBlock, scheduleIsSound } from './splits';

/** Rows of bf16 for which there is room where keys of float32 go. */
const UNPACKED: i32 = 2 * BLOCK;

// The group at work.
let position: i32 = 0;
/** Whether machine code takes rows of bf16: as they lie, or as they were unpacked, as long as that is exact. */
let inPlace: bool = false;
/** Keys that are attended to at once. */
let atOnce: i32 = BLOCK;

export function sparseDecode(command: SparseDecode): void {
  const plan = command.plan;
  if (!scheduleIsSound(command, plan, command.batch)) return;

  const heads = command.numHeadsQ;
  const scale = <f32>(command.softmaxScale * LOG2E);
  const tilesPerPosition = tileCount(heads, plan.tileRows);
  const tileRows = rowsPerTile(heads, plan.tileRows);
  layOut(command.scratch(plan.scratchBytes), tileRows, command.headDimQk, command.headDimV, false);
  startDecode(command, plan, command.batch, command.seqLenQ * tilesPerPosition);
  for (let step = nextStep(); step != DONE; step = nextStep()) {
    position = tile / tilesPerPosition;
    const firstRow = (tile % tilesPerPosition) * tileRows;
    const rowCount = min(tileRows, heads - firstRow);
    setTarget(command);
    if (step == COMBINE) {
      combineSplits(rowCount, firstRow);
    } else {
      findBlocks(mainBlocks(command, request) + blocksOf(lengthOf(command.extra, request)));
      begin(rowCount, heads, scale);
      attendSplit(command, firstRow);
      if (!endInPlace()) {
        begin(rowCount, heads, scale);
        attendSplit(command, firstRow);
        endInPlace();
      }
      endItem(firstRow);
    }
  }
}

/** Entries of a list that count. */
function lengthOf(cache: SparseCache, index: i32): i32 {
  const topk = cache.topk;
  if (cache.topkLength == 0) return topk;
  return max(0, min(load<i32>(cache.topkLength + (<usize>index << 2)), topk));
}

function blocksOf(entries: i32): i32 {
  return (entries + BLOCK - 1) / BLOCK;
}

/** Blocks of the main list: at least one. The extra list starts in a block of its own. */
function mainBlocks(command: SparseDecode, index: i32): i32 {
  return max(1, blocksOf(lengthOf(command.main, index)));
}

/** Points the tile's outputs at the group. */
function setTarget(command: SparseDecode): void {
  const heads = command.numHeadsQ;
  const seqLenQ = command.seqLenQ;
  const outHead = <usize>command.headDimV << 1;
  const query = <usize>(request * seqLenQ + position);
  setOutput(BF16, command.out + query * <usize>heads * outHead, 0, outHead, 1);
  const lseRequest = <usize>request * <usize>heads * <usize>seqLenQ;
  const lseAt = command.lse + ((lseRequest + <usize>position) << 2);
  setLse(lseAt, 0, <usize>seqLenQ << 2, heads, 0, command.attnSink);
}

/** Attends to the split that was found last. */
function attendSplit(command: SparseDecode, firstRow: i32): void {
  const from =
    command.q +
    <usize>request * command.qBatchStride +
    <usize>position * command.qPositionStride;
  setQueries(from, 0, command.qHeadStride, command.numHeadsQ);
  inPlace = beginInPlace(BF16);
  if (inPlace) packPairs(firstRow);
  else packQueries(BF16, firstRow);
  atOnce = !inPlace ? BLOCK : command.layout == BF16_ROWS ? placeTokens : min(placeTokens, UNPACKED);

  const ofMain = mainBlocks(command, request);
  let count = 0;
  for (let block = beginBlock; block < endBlock; block++) {
    const isMain = block < ofMain;
    const cache = isMain ? command.main : command.extra;
    count = gather(command, cache, isMain ? block : block - ofMain, count, firstRow);
  }
  if (count > 0) attendKeys(command, count);
}

/** Attends to the keys that wait. */
function attendKeys(command: SparseDecode, count: i32): void {
  if (!inPlace) {
    attendBlock(count, false, 0);
    return;
  }
  if (command.layout != BF16_ROWS) {
    const stride = <usize>command.headDimQk << 1;
    unpackRows(count, command.layout == V32, stride);
    for (let i = 0; i < count; i++) setRow(i, keys + <usize>i * stride);
  }
  attendRows(count, false, 0, 0);
}

/**
 * Gets the tokens that a block of a cache's list names, behind `count` keys already there, and attends
 * whenever there are enough. Returns how many keys wait.
 */
function gather(
  command: SparseDecode,
  cache: SparseCache,
  block: i32,
  count: i32,
  firstRow: i32,
): i32 {
  const list =
    cache.indices +
    <usize>request * cache.indicesBatchStride +
    <usize>position * cache.indicesPositionStride;
  const layout = command.layout;
  const headDimQk = command.headDimQk;
  const page = cache.pageSize;
  const tokens = <u32>cache.numBlocks * <u32>page;
  const first = block * BLOCK;
  const end = min(lengthOf(cache, request), first + BLOCK);
  for (let entry = first; entry < end; entry++) {
    const index = load<u32>(list + (<usize>entry << 2));
    if (index >= tokens) continue;
    const from = cache.address + <usize>(index / <u32>page) * cache.blockStride;
    const offset = index % <u32>page;
    if (inPlace) {
      const row = from + <usize>offset * cache.tokenStride;
      if (layout == BF16_ROWS) setRow(count, row);
      else if (layout == MODEL1) nameModel1(count, from, offset, page);
      else if (!nameV32(count, row)) {
        if (count > 0) attendKeys(command, count);
        count = 0;
        inPlace = false;
        attendsToDecoded();
        atOnce = BLOCK;
        packQueries(BF16, firstRow);
      }
    }
    if (!inPlace) {
      const target = keys + <usize>count * keyStride;
      decodeSparseRow(layout, target, from, offset, cache.tokenStride, page, headDimQk);
    }
    if (++count == atOnce) {
      attendKeys(command, count);
      count = 0;
    }
  }
  return count;
}
