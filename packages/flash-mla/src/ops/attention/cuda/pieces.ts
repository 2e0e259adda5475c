import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import type { PartField } from '../schedule/metadata.ts';
import { partRow } from './part-row.ts';

/** Tokens of a schedule's block. */
export const blockTokens = 64;

/**
 * A schedule in memory, as `computeTileSchedule` documents it, and what the launch was planned for. The
 * tensors are the user's to write to, and lengths may be others than those that they were computed
 * from: nothing is followed beyond the plan.
 */
export interface SchedulePointers {
  /** (numParts, 8). */
  readonly metadata: Pointer<'global', 's32'>;
  /** (b + 1). */
  readonly numSplits: Pointer<'global', 's32'>;
  readonly batch: Value<'s32'>;
  /** The most blocks of a request: behind them there are no tokens. */
  readonly mostBlocks: Value<'s32'>;
  /** Blocks of a split, or 0 where a split is what a part holds of a request. */
  readonly splitBlocks: Value<'s32'>;
  /** The most splits of a request; further ones hold no blocks. */
  readonly mostSplits: Value<'u32'>;
  /** Room for results of splits; 0: no request has several. */
  readonly slots: Value<'u32'>;
}

/** Some blocks of one request that lead to one result. */
export interface Piece {
  readonly request: Value<'s32'>;
  /** The first block. */
  readonly from: Value<'s32'>;
  /** Behind the last block, above the first. Reads the request's length, which what does not need it need not wait for. */
  end(): Value<'s32'>;
  /** Which split of the request it is. */
  readonly split: Value<'s32'>;
  /** Reads where the result goes; best called when it is there, to keep registers free until then. */
  target(): {
    /** Whether the request has other splits, whose results must be combined with this one. */
    readonly isPartial: Value<'pred'>;
    /** Which partial result this is; below the slots wherever it is partial. */
    readonly slot: Value<'u32'>;
  };
  /** Whether it is the last of its part. */
  isLast(): Value<'pred'>;
}

/**
 * Runs `body` for each piece of a part. `blocksOf` counts a request's blocks, at least one and no more than
 * the plan's most. What is cheap to read again is read again after the body, which needs every register.
 * `continues`, where given, says after a body whether there is another, so that the last one need not
 * read to know.
 */
export function forEachPiece(
  k: Ops,
  schedule: SchedulePointers,
  part: Value<'u32'>,
  blocksOf: (request: Value<'s32'>) => Value<'s32'>,
  body: (piece: Piece) => void,
  continues?: () => Value<'pred'>,
): void {
  const { metadata, numSplits, batch, mostBlocks, splitBlocks, mostSplits, slots } = schedule;
  const field = (name: PartField) => partRow(metadata, part)(name).load();
  const lastRequest = () => field('endRequest').min(batch.sub(1));
  const firstSplit = field('beginSplit');
  // A part may begin among splits of a length above what the plan knows: behind the request's last.
  const isBehind = firstSplit.as('u32').ge(mostSplits);
  const firstRequest = field('beginRequest').max(0);
  const request = k
    .var('s32', k.select(isBehind, firstRequest.add(1), firstRequest))
    .named('request');
  const firstBlock = field('beginBlock').max(0).min(mostBlocks);
  const block = k.var('s32', k.select<'s32'>(isBehind, 0, firstBlock)).named('block');
  const split = k.var('s32', k.select<'s32'>(isBehind, 0, firstSplit)).named('split');
  /** Where the part's share of the request ends. */
  const endOfShare = () => {
    const end = k.var('s32', 0);
    k.if(
      request.lt(lastRequest()),
      () => end.set(blocksOf(request)),
      () => end.set(field('endBlock').min(mostBlocks)),
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
  const last = continues && k.var('s32', lastRequest()).named('last_request');
  k.while(
    () => request.le(last ?? lastRequest()),
    () => {
      body({
        request,
        from: block,
        end: () => endOfPiece(endOfShare()).max(block.add(1)),
        split,
        target() {
          const first = numSplits.at(request).load();
          const splits = numSplits.at(request).at(1).load().sub(first);
          // Splits of fixed size have slots of their own, whatever lengths the sums were made from.
          const ownFirst = request.as('u32').mul(mostSplits);
          const slot = k.select(splitBlocks.gt(0), ownFirst, first.as('u32')).add(split.as('u32'));
          return {
            isPartial: splits.gt(1).and(slots.gt(0)),
            slot: slot.min(slots.sub(1)),
          };
        },
        isLast() {
          const share = endOfShare();
          return endOfPiece(share).ge(share).and(request.ge(lastRequest()));
        },
      });
      if (continues === undefined) advance();
      else k.if(continues(), advance, () => request.set(2 ** 31 - 1), { uniform: true });
    },
    { uniform: true, name: 'piece' },
  );
}
