/**
 * Decoding work cut by the tile scheduler. A group is one tile of query rows of one request; its
 * items are the request's splits. Items are numbered request by request, tile by tile, split by
 * split, and threads take them in that order; see decode.ts.
 *
 * A request with one split writes its result at once. Otherwise each split leaves (O, maximum, sum) in
 * a slot of the workspace, and once a round's items are done the splits of each group are folded in
 * order. A round is as many groups as the slots hold, so that memory is bounded whatever the batch.
 */

import { outputFactor, writeRow, writeStatistics } from '../attend/finish';
import { colTiles, maximum, outputStride, outputs, rowVecs, sum, vecsOf } from '../attend/tile';
import {
  BAD_METADATA,
  BAD_SPLITS,
  DecodePlan,
  SCHEDULE_PART_BYTES,
  SchedulePart,
} from '../generated/attention';
import { exp2 } from '../scalar';
import { Command } from '../work';

/** Column tiles that one combine item handles. */
const COMBINE_TILES: i32 = 8;

/** First and last (exclusive) block of the split that {@link findSplit} found. */
export let beginBlock: i32 = 0;
export let endBlock: i32 = 0;

/** Bytes of one slot for tiles of up to `maxRows` rows. */
export function bytesOfSlot(maxRows: i32, valueDims: i32): usize {
  const padded = <usize>(vecsOf(maxRows) << 2);
  return (<usize>((valueDims + 15) >> 4) * padded * 64 + padded * 8 + 63) & ~63;
}

/** Number of splits of a request. */
export function splitsOf(plan: DecodePlan, request: i32): i32 {
  const at = plan.numSplits + (<usize>request << 2);
  return min(load<i32>(at, 4) - load<i32>(at), plan.mostSplits);
}

/**
 * Finds the blocks of a split among the metadata's rows. The last split of a request ends with the
 * request, so that lengths may have changed since the metadata was computed.
 */
export function findSplit(plan: DecodePlan, request: i32, split: i32, blocks: i32): bool {
  const isLast = split == splitsOf(plan, request) - 1;
  const splitBlocks = plan.splitBlocks;
  if (splitBlocks > 0) {
    beginBlock = min(blocks, split * splitBlocks);
    endBlock = isLast ? blocks : min(blocks, beginBlock + splitBlocks);
    return true;
  }
  const parts = plan.numParts;
  for (let i = 0; i < parts; i++) {
    const part = changetype<SchedulePart>(plan.metadata + <usize>i * SCHEDULE_PART_BYTES);
    const first = part.beginRequest;
    const last = part.endRequest;
    if (request < first || request > last) continue;
    if ((request == first ? part.beginSplit : 0) != split) continue;
    beginBlock = request == first ? min(blocks, part.beginBlock) : 0;
    endBlock = isLast || request != last ? blocks : min(blocks, part.endBlock);
    return beginBlock >= 0;
  }
  return false;
}

/** Whether every request has splits that fit the workspace and that the metadata describes. */
export function scheduleIsSound(command: Command, plan: DecodePlan, batch: i32): bool {
  for (let request = 0; request < batch; request++) {
    const count = splitsOf(plan, request);
    if (count < 1 || (count > 1 && count > plan.slotCount)) {
      command.fail(BAD_SPLITS, request, plan.slotCount, count);
      return false;
    }
    for (let split = 0; split < count; split++) {
      if (!findSplit(plan, request, split, i32.MAX_VALUE)) {
        command.fail(BAD_METADATA, request, split, plan.numParts);
        return false;
      }
    }
  }
  return true;
}

/** Leaves the tile in a slot. */
export function storePartial(slot: usize): void {
  const bytes = <usize>colTiles * outputStride;
  const statistics = <usize>rowVecs << 4;
  memory.copy(slot, outputs, bytes);
  memory.copy(slot + bytes, maximum, statistics);
  memory.copy(slot + bytes + statistics, sum, statistics);
}

/** Combine items of a group. */
export function combineItems(): i32 {
  return (colTiles + COMBINE_TILES - 1) / COMBINE_TILES;
}

/**
 * Folds the `count` slots from `first` on, in order, for column tiles of combine item `item`, and
 * writes the rows. The first item also writes the statistics.
 */
export function combine(
  first: usize,
  slotBytes: usize,
  count: i32,
  item: i32,
  rowCount: i32,
  firstRow: i32,
): void {
  const padded = <usize>(vecsOf(rowCount) << 2);
  const stride = padded << 6;
  const bytes = <usize>colTiles * stride;
  const from = item * COMBINE_TILES;
  const to = min(colTiles, from + COMBINE_TILES);
  for (let r = 0; r < rowCount; r++) {
    const at = <usize>r << 2;
    let top: f32 = load<f32>(first + bytes + at);
    let total: f32 = load<f32>(first + bytes + (padded << 2) + at);
    const target = outputs + (<usize>r << 6);
    for (let tile = from; tile < to; tile++) {
      const offset = <usize>tile * stride;
      copy64(target + offset, first + offset + (<usize>r << 6));
    }
    for (let i = 1; i < count; i++) {
      const partial = first + <usize>i * slotBytes;
      const otherTop = load<f32>(partial + bytes + at);
      const otherTotal = load<f32>(partial + bytes + (padded << 2) + at);
      const highest = otherTop > top ? otherTop : top;
      const base: f32 = highest == -Infinity ? 0 : highest;
      const keep = <f32>exp2(<f64>top - <f64>base);
      const add = <f32>exp2(<f64>otherTop - <f64>base);
      total = total * keep + otherTotal * add;
      top = highest;
      for (let tile = from; tile < to; tile++) {
        const offset = <usize>tile * stride;
        fold64(target + offset, partial + offset + (<usize>r << 6), keep, add);
      }
    }
    const factor =
      item == 0
        ? writeStatistics(firstRow + r, top, total)
        : outputFactor(firstRow + r, top, total);
    writeRow(firstRow + r, target, stride, from, to, factor);
  }
}

function copy64(target: usize, source: usize): void {
  v128.store(target, v128.load(source));
  v128.store(target, v128.load(source, 16), 16);
  v128.store(target, v128.load(source, 32), 32);
  v128.store(target, v128.load(source, 48), 48);
}

function fold64(target: usize, source: usize, keep: f32, add: f32): void {
  const k = f32x4.splat(keep);
  const a = f32x4.splat(add);
  for (let c: usize = 0; c < 64; c += 16) {
    v128.store(
      target + c,
      f32x4.add(f32x4.mul(v128.load(target + c), k), f32x4.mul(v128.load(source + c), a)),
    );
  }
}
