import type { SchedulePlan } from '../schedule-contract.ts';
import { metadataWidth, partField } from './metadata.ts';

const { beginRequest, endRequest, beginBlock, endBlock, beginSplit, beginIsSplit, endIsSplit } =
  partField;

/** The result of {@link computeTileSchedule}. */
export interface TileSchedule {
  /** i32 (numParts, 8), row-major, FlashMLA's layout: see `partFields`. */
  readonly metadata: Int32Array;
  /** i32 (b + 1): prefix sums of the number of splits of each request. */
  readonly numSplits: Int32Array;
}

/**
 * Cuts the blocks of a batch into `plan.numParts` contiguous ranges, FlashMLA's tile scheduler. The
 * cost of a part is the blocks it holds plus `plan.overheadBlocks` for each piece of a request it holds.
 *
 * Balanced (`plan.splitBlocks` 0): a piece is what one part holds of one request and is one split. The
 * parts are filled in turn up to the least cost with which they suffice, see {@link balancedCost}; it
 * is at most ⌈total / numParts⌉ + overheadBlocks, where total is the cost of the batch uncut.
 * Deterministic (`plan.splitBlocks` above 0): a split is `splitBlocks` blocks whatever else is in the
 * batch, a piece is one split, a part holds whole splits and costs at most total / numParts plus one
 * split.
 *
 * @param blocks blocks of each request, at least 1 each (see {@link blocksOfLengths}).
 */
export function computeTileSchedule(blocks: Int32Array, plan: SchedulePlan): TileSchedule {
  const cut = plan.splitBlocks > 0 ? cutAtSplits : cutAnywhere;
  const metadata = new Int32Array(plan.numParts * metadataWidth);
  const numSplits = new Int32Array(blocks.length + 1);
  cut(blocks, plan, metadata, numSplits);
  for (let row = 0; row < metadata.length; row += metadataWidth) {
    const begin = metadata[row + beginRequest] as number;
    const end = metadata[row + endRequest] as number;
    if (end < begin) continue;
    metadata[row + beginIsSplit] = isSplit(numSplits, begin);
    metadata[row + endIsSplit] = isSplit(numSplits, end);
  }
  return { metadata, numSplits };
}

/** Splits of a request of so many blocks where a split has a fixed size (deterministic), else 0. */
export function fixedSplits({ splitBlocks }: SchedulePlan, blocks: number): number {
  return splitBlocks > 0 ? Math.ceil(blocks / splitBlocks) : 0;
}

/**
 * The most splits that any lengths can lead to, which is how many partial results a backend needs room
 * for: the lengths themselves are on the device.
 *
 * @param maxBlocks the most blocks of one request.
 */
export function maxTotalSplits(plan: SchedulePlan, batch: number, maxBlocks: number): number {
  if (plan.splitBlocks > 0) return batch * fixedSplits(plan, maxBlocks);
  return Math.min(batch * maxBlocks, batch + plan.numParts - 1);
}

/** Blocks that all requests of a schedule count together, so that no sum over them leaves 32 bits. */
const mostBlocks = 2 ** 28;

/**
 * The most tokens that a schedule counts of each of `batch` requests, of which a request may have
 * `tokens`: fewer only where all of them together could be more than 2^34.
 */
export function mostScheduledTokens(
  { blockTokens }: Pick<SchedulePlan, 'blockTokens'>,
  batch: number,
  tokens: number | undefined,
): number {
  const share = Math.max(1, Math.floor(mostBlocks / Math.max(1, batch))) * blockTokens;
  return Math.min(tokens ?? Number.POSITIVE_INFINITY, share, 2 ** 31 - 1);
}

/** Blocks of each request of a dense call. A request without tokens has one: its output is written. */
export function blocksOfLengths(lengths: ArrayLike<number>, blockTokens: number): Int32Array {
  return Int32Array.from(lengths, (n) => Math.max(1, Math.ceil(n / blockTokens)));
}

/** What {@link blocksOfTopk} counts: the widths of a sparse call and, where given, its lengths. */
export interface TopkExtent {
  readonly batch: number;
  readonly topk: number;
  /** (b): attended entries of the main cache, clamped to 0…topk. */
  readonly topkLength?: ArrayLike<number> | undefined;
  /** 0 or absent: no extra cache. */
  readonly extraTopk?: number | undefined;
  readonly extraTopkLength?: ArrayLike<number> | undefined;
}

/**
 * Blocks of each request of a sparse call: those of the main cache, at least one, then those of the
 * extra cache, which starts in a block of its own.
 */
export function blocksOfTopk(extent: TopkExtent, blockTokens: number): Int32Array {
  const { batch, topk, topkLength, extraTopk = 0, extraTopkLength } = extent;
  return Int32Array.from({ length: batch }, (_, i) => {
    const main = clampedBlocks(topkLength?.[i], topk, blockTokens);
    return Math.max(1, main) + clampedBlocks(extraTopkLength?.[i], extraTopk, blockTokens);
  });
}

function clampedBlocks(length: number | undefined, topk: number, blockTokens: number): number {
  return Math.ceil(Math.min(topk, Math.max(0, length ?? topk)) / blockTokens);
}

function isSplit(numSplits: Int32Array, request: number): number {
  return (numSplits[request + 1] as number) - (numSplits[request] as number) > 1 ? 1 : 0;
}

/**
 * What a part may cost. FlashMLA takes an even share and one overhead on top, which pays for the piece
 * that a cut adds and so always suffices; often less does, and the longest part decides when a batch is
 * done. A part that holds one block only would be mostly overhead: two are tried first.
 */
function balancedCost(blocks: Int32Array, { numParts, overheadBlocks }: SchedulePlan): number {
  let total = 0;
  for (const n of blocks) total += n + overheadBlocks;
  const share = Math.ceil(total / numParts);
  const most = share + overheadBlocks;
  let cost = Math.max(share, Math.min(most, overheadBlocks + 2));
  while (cost < most && partsNeeded(blocks, cost, overheadBlocks) > numParts) cost++;
  return cost;
}

/** How many parts of a cost are filled, each taking as much of a request as fits. */
function partsNeeded(blocks: Int32Array, cost: number, overheadBlocks: number): number {
  const most = cost - overheadBlocks;
  if (most <= 0) return Number.POSITIVE_INFINITY;
  let parts = 1;
  let room = cost;
  for (const size of blocks) {
    if (room < size + overheadBlocks) {
      const rest = size - Math.max(0, room - overheadBlocks);
      const others = Math.ceil(rest / most);
      parts += others;
      room = cost - (rest - (others - 1) * most) - overheadBlocks;
    } else {
      room -= size + overheadBlocks;
    }
  }
  return parts;
}

/** Fills parts in turn; a part that cannot take the rest of a request takes as much as fits. */
function cutAnywhere(
  blocks: Int32Array,
  plan: SchedulePlan,
  metadata: Int32Array,
  numSplits: Int32Array,
): void {
  const { numParts, overheadBlocks } = plan;
  const batch = blocks.length;
  const payload = balancedCost(blocks, plan);

  let request = 0;
  let block = 0;
  let split = 0;
  for (let part = 0; part < numParts; part++) {
    const row = part * metadataWidth;
    metadata[row + beginRequest] = request;
    metadata[row + endRequest] = request - 1;
    if (request === batch) continue;
    metadata[row + beginBlock] = block;
    metadata[row + beginSplit] = split;
    let room = payload;
    while (request < batch) {
      const left = (blocks[request] as number) - block;
      if (room < left + overheadBlocks) break;
      room -= left + overheadBlocks;
      metadata[row + endRequest] = request;
      metadata[row + endBlock] = blocks[request] as number;
      numSplits[request + 1] = (numSplits[request] as number) + split + 1;
      request++;
      block = 0;
      split = 0;
    }
    if (request < batch && room > overheadBlocks) {
      block += room - overheadBlocks;
      split++;
      metadata[row + endRequest] = request;
      metadata[row + endBlock] = block;
    }
  }
}

/**
 * Gives each split to the part in whose share of the total cost it begins. Every split is decided by
 * the cost before it alone, so this needs no search and a device may do it in parallel.
 */
function cutAtSplits(
  blocks: Int32Array,
  plan: SchedulePlan,
  metadata: Int32Array,
  numSplits: Int32Array,
): void {
  const { numParts, overheadBlocks, splitBlocks } = plan;
  let total = 0;
  for (let i = 0; i < blocks.length; i++) {
    const splits = fixedSplits(plan, blocks[i] as number);
    numSplits[i + 1] = (numSplits[i] as number) + splits;
    total += (blocks[i] as number) + splits * overheadBlocks;
  }

  // Goes from part to part and not from split to split, of which a long request has very many.
  const whole = splitBlocks + overheadBlocks;
  let before = 0;
  let next = 0;
  for (let request = 0; request < blocks.length; request++) {
    const size = blocks[request] as number;
    const splits = fixedSplits(plan, size);
    for (let split = 0; split < splits; ) {
      const part = Math.floor(((before + split * whole) * numParts) / total);
      const block = split * splitBlocks;
      while (next <= part) openPart(metadata, next++, part, request, block, split);
      // The first split that begins in the share of a later part.
      const share = Math.ceil(((part + 1) * total) / numParts) - before;
      split = Math.min(splits, Math.max(split + 1, Math.ceil(share / whole)));
      const row = part * metadataWidth;
      metadata[row + endRequest] = request;
      metadata[row + endBlock] = Math.min(size, split * splitBlocks);
    }
    before += size + splits * overheadBlocks;
  }
  while (next < numParts) openPart(metadata, next++, numParts, blocks.length, 0, 0);
}

/** Starts part `next`; it stays empty unless it is the one that takes the split at hand. */
function openPart(
  metadata: Int32Array,
  next: number,
  part: number,
  request: number,
  block: number,
  split: number,
): void {
  const row = next * metadataWidth;
  metadata[row + beginRequest] = request;
  metadata[row + endRequest] = request - 1;
  if (next < part) return;
  metadata[row + beginBlock] = block;
  metadata[row + beginSplit] = split;
}
