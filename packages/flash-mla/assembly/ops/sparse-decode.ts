/** Token-sparse MLA decoding: the entries of one or two index lists, one after the other. */

import { attendBlock } from '../attend/block';
import { setLse, setOutput } from '../attend/finish';
import { packQueries, setQueries } from '../attend/pack';
import { BLOCK, begin, keyStride, keys, layOut } from '../attend/tile';
import { SparseCache, SparseDecode } from '../generated/attention';
import { BF16 } from '../generated/commands';
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

// The group at work.
let position: i32 = 0;

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
  packQueries(BF16, firstRow);

  const ofMain = mainBlocks(command, request);
  let count = 0;
  for (let block = beginBlock; block < endBlock; block++) {
    const isMain = block < ofMain;
    const cache = isMain ? command.main : command.extra;
    count = gather(command, cache, isMain ? block : block - ofMain, count);
  }
  if (count > 0) attendBlock(count, false, 0);
}

/**
 * Decodes the tokens that a block of a cache's list names behind `count` keys already there, and attends
 * whenever a block is full. Returns how many keys wait.
 */
function gather(command: SparseDecode, cache: SparseCache, block: i32, count: i32): i32 {
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
    const target = keys + <usize>count * keyStride;
    const from = cache.address + <usize>(index / <u32>page) * cache.blockStride;
    decodeSparseRow(layout, target, from, index % <u32>page, cache.tokenStride, page, headDimQk);
    if (++count == BLOCK) {
      attendBlock(BLOCK, false, 0);
      count = 0;
    }
  }
  return count;
}
