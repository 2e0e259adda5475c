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
  /** The first block. */
  readonly from: Value<'s32'>;
  /** Behind the last block. Reads the request's length, which what does not need it need not wait for. */
  end(): Value<'s32'>;
  /** Which split of the request it is. */
  readonly split: Value<'s32'>;
  /** Reads where the result goes; best called when it is there, to keep registers free until then. */
  target(): {
    /** Whether the request has other splits, whose results must be combined with this one. */
    readonly isPartial: Value<'pred'>;
    /** Which partial result this is, counted over the batch. */
    readonly slot: Value<'u32'>;
  };
  /** Whether it is the last of its part. */
  isLast(): Value<'pred'>;
}

/**
 * Runs `body` for each piece of a part. `blocksOf` counts a request's blocks, at least one. What is
 * cheap to read again is read again after the body, which needs every register. `continues`, where
 * given, says after a body whether there is another, so that the last one need not read to know.
 */
export function forEachPiece(
  k: Ops,
  { metadata, numSplits, splitBlocks }: SchedulePointers,
  part: Value<'u32'>,
  blocksOf: (request: Value<'s32'>) => Value<'s32'>,
  body: (piece: Piece) => void,
  continues?: () => Value<'pred'>,
): void {
  const field = (i: number) => metadata.at(part.shl(3)).at(i).load();
  const request = k.var('s32', field(0)).named('request');
  const block = k.var('s32', field(2)).named('block');
  const split = k.var('s32', field(4)).named('split');
  /** Where the part's share of the request ends. */
  const endOfShare = () => {
    const end = k.var('s32', 0);
    k.if(
      request.lt(field(1)),
      () => end.set(blocksOf(request)),
      () => end.set(field(3)),
      { uniform: true },
    );
    return end;
  };
  const endOfPiece = (share: Value<'s32'>) =>
    k.select(splitBlocks.gt(0), block.add(splitBlocks), share).min(share);

  const advance = () => {
    const share = endOfShare();
    const end = endOfPiece(share);
    const isDone = end.ge(share);
    request.set(k.select(isDone, request.add(1), request));
    split.set(k.select<'s32'>(isDone, 0, split.add(1)));
    block.set(k.select<'s32'>(isDone, 0, end));
  };
  const last = continues && k.var('s32', field(1)).named('last_request');
  k.while(
    () => request.le(last ?? field(1)),
    () => {
      body({
        request,
        from: block,
        end: () => endOfPiece(endOfShare()),
        split,
        target() {
          const first = numSplits.at(request).load();
          const splits = numSplits.at(request).at(1).load().sub(first);
          return { isPartial: splits.gt(1), slot: first.add(split).as('u32') };
        },
        isLast() {
          const share = endOfShare();
          return endOfPiece(share)
            .ge(share)
            .and(request.ge(field(1)));
        },
      });
      if (continues === undefined) advance();
      else k.if(continues(), advance, () => request.set(2 ** 31 - 1), { uniform: true });
    },
    { uniform: true, name: 'piece' },
  );
}
