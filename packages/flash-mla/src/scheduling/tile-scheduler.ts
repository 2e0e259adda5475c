import type { SchedulePlan } from '../backends/backend.ts';

/** i32 per part: see {@link TileSchedule.metadata}. */
export const metadataWidth = 8;

/** The result of {@link computeTileSchedule}. */
export interface TileSchedule {
  /**
   * i32 (numParts, 8), row-major: begin request, end request (inclusive; below begin where the part
   * is empty), begin block of the first request, end block (exclusive) of the last request, begin
   * split of the first request, whether the first request is split, whether the last is, 0.
   */
  readonly metadata: Int32Array;
  /** i32 (b + 1): prefix sums of the number of splits of each request. */
  readonly numSplits: Int32Array;
}

/**
 * Cuts the blocks of a batch into `numParts` contiguous ranges of nearly equal cost, each request
 * costing its blocks plus `overheadBlocks`. The unit of FlashMLA's tile scheduler.
 *
 * @param blocks blocks of each request; a request without tokens still has one, so that its output
 *   is written.
 */
export function computeTileSchedule(blocks: Int32Array, plan: SchedulePlan): TileSchedule {
  const { numParts, overheadBlocks, splitBlocks } = plan;
  const batch = blocks.length;
  const metadata = new Int32Array(numParts * metadataWidth);
  const numSplits = new Int32Array(batch + 1);
  let total = 0;
  for (const n of blocks) total += n + overheadBlocks;
  const payload = Math.ceil(total / numParts) + overheadBlocks;

  let request = 0;
  let block = 0;
  let split = 0;
  let splitsBefore = 0;
  for (let part = 0; part < numParts; part++) {
    const row = part * metadataWidth;
    metadata[row] = request;
    metadata[row + 2] = block;
    metadata[row + 4] = split;
    metadata[row + 5] = block > 0 ? 1 : 0;
    let room = payload;
    while (request < batch) {
      const size = blocks[request] as number;
      const left = size - block;
      if (room >= left + overheadBlocks || part === numParts - 1) {
        room -= left + overheadBlocks;
        split += splitBlocks > 0 ? Math.ceil(left / splitBlocks) : 1;
        splitsBefore += split;
        numSplits[request + 1] = splitsBefore;
        request++;
        block = 0;
        split = 0;
      } else {
        const fits = room - overheadBlocks;
        const take = splitBlocks > 0 ? Math.floor(fits / splitBlocks) * splitBlocks : fits;
        if (take > 0) {
          split += splitBlocks > 0 ? take / splitBlocks : 1;
          block += take;
        }
        break;
      }
    }
    metadata[row + 1] = block > 0 ? request : request - 1;
    metadata[row + 3] = block > 0 ? block : (blocks[request - 1] ?? 0);
    metadata[row + 6] = block > 0 ? 1 : 0;
  }
  // The first request of a part is also split where the part ends inside it.
  for (let row = 0; row < metadata.length; row += metadataWidth) {
    if (metadata[row] === metadata[row + 1] && metadata[row + 6] === 1) metadata[row + 5] = 1;
  }
  return { metadata, numSplits };
}

/** Blocks of each request of a dense call: at least one, see {@link computeTileSchedule}. */
export function blocksOfLengths(lengths: ArrayLike<number>, blockTokens: number): Int32Array {
  return Int32Array.from(lengths, (n) => Math.max(1, Math.ceil(n / blockTokens)));
}
