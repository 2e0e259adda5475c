/**
 * Tile-scheduler metadata and splits of a batch. src/ops/attention/schedule/tile-scheduler.ts is the
 * definition.
 */

import { ComputeSchedule, SCHEDULE_PART_BYTES, SchedulePart } from '../generated/attention';
import { worker } from '../work';

/** Where the results go: rows of parts, and i32 (batch + 1). */
let metadata: usize = 0;
let numSplits: usize = 0;
/** i32 (batch): blocks of each request. */
let blocksOfAll: usize = 0;

/** Small and sequential: one thread does it, the others wait for the command's end. */
export function computeSchedule(command: ComputeSchedule): void {
  if (worker != 0) return;
  const batch = command.batch;
  const numParts = command.numParts;
  const blockTokens = command.blockTokens;
  metadata = command.metadata;
  numSplits = command.numSplits;
  blocksOfAll = command.workspace;
  for (let i = 0; i < batch; i++) {
    const at = <usize>i << 2;
    let blocks: i32;
    if (command.seqlens != 0) {
      const length = min(load<i32>(command.seqlens + at), command.maxSeqLenK);
      blocks = max(1, blocksFor(length, blockTokens));
    } else {
      const main = blocksOfList(command.topkLength, at, command.topk, blockTokens);
      const extra = blocksOfList(command.extraTopkLength, at, command.extraTopk, blockTokens);
      blocks = max(1, main) + extra;
    }
    store<i32>(blocksOfAll + at, blocks);
  }
  memory.fill(metadata, 0, <usize>numParts * SCHEDULE_PART_BYTES);
  memory.fill(numSplits, 0, <usize>(batch + 1) << 2);
  const overheadBlocks = command.overheadBlocks;
  const splitBlocks = command.splitBlocks;
  if (splitBlocks > 0) cutAtSplits(batch, numParts, overheadBlocks, splitBlocks);
  else cutAnywhere(batch, numParts, overheadBlocks);
  for (let i = 0; i < numParts; i++) {
    const part = partAt(i);
    if (part.endRequest < part.beginRequest) continue;
    part.beginIsSplit = isSplit(part.beginRequest);
    part.endIsSplit = isSplit(part.endRequest);
  }
}

function blocksFor(tokens: i32, blockTokens: i32): i32 {
  return tokens <= 0 ? 0 : (tokens - 1) / blockTokens + 1;
}

/** Blocks of the attended entries of one cache; absent lengths stand for all of them. */
function blocksOfList(lengths: usize, at: usize, topk: i32, blockTokens: i32): i32 {
  const length = lengths == 0 ? topk : load<i32>(lengths + at);
  return blocksFor(min(topk, max(0, length)), blockTokens);
}

function blocksOf(request: i32): i32 {
  return load<i32>(blocksOfAll + (<usize>request << 2));
}

function splitsBefore(request: i32): i32 {
  return load<i32>(numSplits + (<usize>request << 2));
}

function setSplitsBefore(request: i32, splits: i32): void {
  store<i32>(numSplits + (<usize>request << 2), splits);
}

function isSplit(request: i32): i32 {
  return splitsBefore(request + 1) - splitsBefore(request) > 1 ? 1 : 0;
}

function partAt(index: i32): SchedulePart {
  return changetype<SchedulePart>(metadata + <usize>index * SCHEDULE_PART_BYTES);
}

function ceilOf(a: i64, b: i64): i64 {
  return (a + b - 1) / b;
}

/** What a part may cost. */
function balancedCost(batch: i32, numParts: i32, overheadBlocks: i32): i32 {
  let total: i64 = 0;
  for (let i = 0; i < batch; i++) total += blocksOf(i) + overheadBlocks;
  const share = <i32>ceilOf(total, numParts);
  const most = share + overheadBlocks;
  let cost = max(share, min(most, overheadBlocks + 2));
  while (cost < most && partsNeeded(batch, cost, overheadBlocks) > numParts) cost++;
  return cost;
}

/** How many parts of a cost are filled, each taking as much of a request as fits. */
function partsNeeded(batch: i32, cost: i32, overheadBlocks: i32): i32 {
  const most = cost - overheadBlocks;
  if (most <= 0) return i32.MAX_VALUE;
  let parts = 1;
  let room = cost;
  for (let i = 0; i < batch; i++) {
    const size = blocksOf(i);
    if (room < size + overheadBlocks) {
      const rest = size - max(0, room - overheadBlocks);
      const others = <i32>ceilOf(rest, most);
      parts += others;
      room = cost - (rest - (others - 1) * most) - overheadBlocks;
    } else {
      room -= size + overheadBlocks;
    }
  }
  return parts;
}

/** Fills parts in turn; a part that cannot take the rest of a request takes as much as fits. */
function cutAnywhere(batch: i32, numParts: i32, overheadBlocks: i32): void {
  const payload = balancedCost(batch, numParts, overheadBlocks);
  let request = 0;
  let block = 0;
  let split = 0;
  for (let i = 0; i < numParts; i++) {
    const part = partAt(i);
    part.beginRequest = request;
    part.endRequest = request - 1;
    if (request == batch) continue;
    part.beginBlock = block;
    part.beginSplit = split;
    let room = payload;
    while (request < batch) {
      const left = blocksOf(request) - block;
      if (room < left + overheadBlocks) break;
      room -= left + overheadBlocks;
      part.endRequest = request;
      part.endBlock = blocksOf(request);
      setSplitsBefore(request + 1, splitsBefore(request) + split + 1);
      request++;
      block = 0;
      split = 0;
    }
    if (request < batch && room > overheadBlocks) {
      block += room - overheadBlocks;
      split++;
      part.endRequest = request;
      part.endBlock = block;
    }
  }
}

/** Gives each split to the part in whose share of the total cost it begins. */
function cutAtSplits(batch: i32, numParts: i32, overheadBlocks: i32, splitBlocks: i32): void {
  let total: i64 = 0;
  for (let i = 0; i < batch; i++) {
    const splits = <i32>ceilOf(blocksOf(i), splitBlocks);
    setSplitsBefore(i + 1, splitsBefore(i) + splits);
    total += blocksOf(i) + <i64>splits * overheadBlocks;
  }
  const whole: i64 = splitBlocks + overheadBlocks;
  let before: i64 = 0;
  let next = 0;
  for (let request = 0; request < batch; request++) {
    const size = blocksOf(request);
    const splits = <i32>ceilOf(size, splitBlocks);
    for (let split = 0; split < splits; ) {
      const part = <i32>(((before + <i64>split * whole) * numParts) / total);
      const block = split * splitBlocks;
      while (next <= part) openPart(next++, part, request, block, split);
      // The first split that begins in the share of a later part.
      const share = ceilOf(<i64>(part + 1) * total, numParts) - before;
      split = <i32>min<i64>(splits, max<i64>(split + 1, ceilOf(share, whole)));
      const filled = partAt(part);
      filled.endRequest = request;
      filled.endBlock = <i32>min<i64>(size, <i64>split * splitBlocks);
    }
    before += size + <i64>splits * overheadBlocks;
  }
  while (next < numParts) openPart(next++, numParts, batch, 0, 0);
}

/** Starts part `next`; it stays empty unless it is the one that takes the split at hand. */
function openPart(next: i32, part: i32, request: i32, block: i32, split: i32): void {
  const opened = partAt(next);
  opened.beginRequest = request;
  opened.endRequest = request - 1;
  if (next < part) return;
  opened.beginBlock = block;
  opened.beginSplit = split;
}
