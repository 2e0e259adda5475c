import type { Ops, Pointer, Value } from '@flash-mla/ptx';

/** Tokens of a schedule's block. */
export const blockTokens = 64;

/** A schedule in memory, as `computeTileSchedule` documents it. */
export interface SchedulePointers {
  /** (numParts, 8). */
  readonly metadata: Pointer<'global', 's32'>;
  /** (b + 1). */
  readonly numSplits: Pointer<'global', 's32'>;
  /** Blocks of a split, or 0 where a split is what a part holds of a request. */
  readonly splitBlocks: Value<'s32'>;
}

/** Some blocks of one request that lead to one result. */
export interface Piece {
  readonly request: Value<'s32'>;
  /** Blocks, the end exclusive. */
  readonly from: Value<'s32'>;
  readonly to: Value<'s32'>;
  /** Whether the request has other splits, whose results must be combined with this one. */
  readonly isPartial: Value<'pred'>;
  /** Which partial result this is, counted over the batch. */
  readonly slot: Value<'s32'>;
}

/** Runs `body` for each piece of a part. `blocksOf` counts a request's blocks, at least one. */
export function forEachPiece(
  k: Ops,
  schedule: SchedulePointers,
  part: Value<'u32'>,
  blocksOf: (request: Value<'s32'>) => Value<'s32'>,
  body: (piece: Piece) => void,
): void {
  const { numSplits, splitBlocks } = schedule;
  const row = schedule.metadata.at(part.shl(3));
  const [begin, end, beginBlock, endBlock, beginSplit] = [0, 1, 2, 3, 4].map((i) =>
    row.at(i).load(),
  );
  const request = k.var('s32', begin).named('request');
  const block = k.var('s32', beginBlock).named('block');
  const split = k.var('s32', beginSplit).named('split');
  k.while(
    () => request.le(end),
    () => {
      const last = k.var('s32', endBlock);
      k.if(request.lt(end), () => last.set(blocksOf(request)), { uniform: true });
      const cut = k.select(splitBlocks.gt(0), block.add(splitBlocks), last);
      const from = k.copy<'s32'>(block);
      const to = cut.min(last);
      const firstSplit = numSplits.at(request).load();
      const splits = numSplits.at(request).at(1).load().sub(firstSplit);
      body({
        request,
        from,
        to,
        isPartial: splits.gt(1),
        slot: firstSplit.add(split),
      });
      const isDone = to.ge(last);
      request.set(k.select(isDone, request.add(1), request));
      split.set(k.select(isDone, 0, split.add(1)));
      block.set(k.select(isDone, 0, to));
    },
    { uniform: true, name: 'piece' },
  );
}
