import { blocksOfLengths, blocksOfTopk, computeTileSchedule } from '../schedule/tile-scheduler.ts';

/**
 * The `computeSchedule` operation. Arguments as {@link scheduleCommand} lists them, behind the
 * workspace; addresses of absent tensors are 0.
 */
export function computeScheduleIn(memory: ArrayBufferLike, args: ArrayLike<number>): void {
  const [
    ,
    batch = 0,
    numParts = 1,
    blockTokens = 1,
    overheadBlocks = 0,
    splitBlocks = 0,
    seqlens = 0,
    maxSeqLenK = 0,
    topk = 0,
    topkLength = 0,
    extraTopk = 0,
    extraTopkLength = 0,
    metadata = 0,
    numSplits = 0,
  ] = Array.from(args);
  const list = (address: number) =>
    address === 0 ? undefined : new Int32Array(memory, address, batch);
  const lengths = list(seqlens);
  const blocks = lengths
    ? blocksOfLengths(
        lengths.map((n) => Math.min(n, maxSeqLenK)),
        blockTokens,
      )
    : blocksOfTopk(
        {
          batch,
          topk,
          topkLength: list(topkLength),
          extraTopk,
          extraTopkLength: list(extraTopkLength),
        },
        blockTokens,
      );
  const plan = { numParts, blockTokens, overheadBlocks, splitBlocks };
  const schedule = computeTileSchedule(blocks, plan);
  new Int32Array(memory, metadata, schedule.metadata.length).set(schedule.metadata);
  new Int32Array(memory, numSplits, batch + 1).set(schedule.numSplits);
}
