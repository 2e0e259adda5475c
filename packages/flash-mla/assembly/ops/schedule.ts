/**
 * Tile-scheduler metadata and splits of a batch. src/ops/attention/schedule/tile-scheduler.ts is the
 * definition, and says what the fields of a row are.
 */

const METADATA_WIDTH: i32 = 8;

/** Where the results go: i32 (numParts, 8) and i32 (batch + 1). */
let metadataPtr: usize = 0;
let numSplitsPtr: usize = 0;
/** i32 (batch): blocks of each request. */
let blocksPtr: usize = 0;

/** Small and sequential: one thread does it, the others wait for the command's end. */
export function computeSchedule(
  _context: usize,
  worker: i32,
  _workers: i32,
  workspace: usize,
  batch: i32,
  numParts: i32,
  blockTokens: i32,
  overheadBlocks: i32,
  splitBlocks: i32,
  seqlens: usize,
  maxSeqLenK: i32,
  topk: i32,
  topkLength: usize,
  extraTopk: i32,
  extraTopkLength: usize,
  metadata: usize,
  numSplits: usize,
): void {
  if (worker != 0) return;
  metadataPtr = metadata;
  numSplitsPtr = numSplits;
  blocksPtr = workspace;
  for (let i = 0; i < batch; i++) {
    const at = <usize>i << 2;
    let blocks: i32;
    if (seqlens != 0) {
      blocks = max(1, blocksFor(min(load<i32>(seqlens + at), maxSeqLenK), blockTokens));
    } else {
      const main = blocksOfList(topkLength, at, topk, blockTokens);
      blocks = max(1, main) + blocksOfList(extraTopkLength, at, extraTopk, blockTokens);
    }
    store<i32>(blocksPtr + at, blocks);
  }
  memory.fill(metadata, 0, <usize>(numParts * METADATA_WIDTH) << 2);
  memory.fill(numSplits, 0, <usize>(batch + 1) << 2);
  if (splitBlocks > 0) cutAtSplits(batch, numParts, overheadBlocks, splitBlocks);
  else cutAnywhere(batch, numParts, overheadBlocks);
  for (let part = 0; part < numParts; part++) {
    const begin = field(part, 0);
    const end = field(part, 1);
    if (end < begin) continue;
    setField(part, 5, isSplit(begin));
    setField(part, 6, isSplit(end));
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
  return load<i32>(blocksPtr + (<usize>request << 2));
}

function splitsBefore(request: i32): i32 {
  return load<i32>(numSplitsPtr + (<usize>request << 2));
}

function setSplitsBefore(request: i32, splits: i32): void {
  store<i32>(numSplitsPtr + (<usize>request << 2), splits);
}

function isSplit(request: i32): i32 {
  return splitsBefore(request + 1) - splitsBefore(request) > 1 ? 1 : 0;
}

function field(part: i32, index: i32): i32 {
  return load<i32>(metadataPtr + (<usize>(part * METADATA_WIDTH + index) << 2));
}

function setField(part: i32, index: i32, value: i32): void {
  store<i32>(metadataPtr + (<usize>(part * METADATA_WIDTH + index) << 2), value);
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
  for (let part = 0; part < numParts; part++) {
    setField(part, 0, request);
    setField(part, 1, request - 1);
    if (request == batch) continue;
    setField(part, 2, block);
    setField(part, 4, split);
    let room = payload;
    while (request < batch) {
      const left = blocksOf(request) - block;
      if (room < left + overheadBlocks) break;
      room -= left + overheadBlocks;
      setField(part, 1, request);
      setField(part, 3, blocksOf(request));
      setSplitsBefore(request + 1, splitsBefore(request) + split + 1);
      request++;
      block = 0;
      split = 0;
    }
    if (request < batch && room > overheadBlocks) {
      block += room - overheadBlocks;
      split++;
      setField(part, 1, request);
      setField(part, 3, block);
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
      setField(part, 1, request);
      setField(part, 3, <i32>min<i64>(size, <i64>split * splitBlocks));
    }
    before += size + <i64>splits * overheadBlocks;
  }
  while (next < numParts) openPart(next++, numParts, batch, 0, 0);
}

/** Starts part `next`; it stays empty unless it is the one that takes the split at hand. */
function openPart(next: i32, part: i32, request: i32, block: i32, split: i32): void {
  setField(next, 0, request);
  setField(next, 1, request - 1);
  if (next < part) return;
  setField(next, 2, block);
  setField(next, 4, split);
}
