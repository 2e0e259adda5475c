import type { Ops, ParamValues, Pointer, Value, Var } from '@flash-mla/ptx';
import { tileTokens } from '../hopper/tile.ts';
import type { SparseParams } from './params.ts';
import type { ProducerPlace } from './place.ts';
import { rowBytes, tokensAtOnce, warpTokens } from './tile.ts';
import type { Picks } from './work.ts';

/** What the code that finds rows depends on. */
export interface CacheCode {
  readonly pageSize: number;
  /** Asks the second-level cache for rows a block before they are loaded. */
  readonly prefetches: boolean;
}

const nothing = -1;
/** A row that is not there; those that are have smaller numbers. */
const noRow = 2 ** 32 - 1;
const allPresent = 2 ** warpTokens - 1;

/**
 * Finds the rows of a warp's tokens. While a block's rows are loaded, those of the next are on their way
 * into the second-level cache, and the indices of the one behind it are read.
 */
export class RowFinder {
  /** A bit for each of the warp's tokens of the block at hand: whether it is there. Same in all lanes. */
  readonly present: Var<'b32'>;
  readonly #k: Ops;
  readonly #p: ParamValues<SparseParams>;
  readonly #cache: CacheCode;
  readonly #place: ProducerPlace;
  /** The entry of the block whose index is read next. */
  readonly #position: Var<'u32'>;
  /** Of the own token: that index, the row of the next block and of the one at hand. */
  readonly #index: Var<'s32'>;
  readonly #next: Var<'u32'>;
  readonly #own: Var<'u32'>;

  constructor(k: Ops, p: ParamValues<SparseParams>, cache: CacheCode, place: ProducerPlace) {
    this.#k = k;
    this.#p = p;
    this.#cache = cache;
    this.#place = place;
    this.present = k.var('b32', 0).named('present');
    this.#position = k.var('u32', 0).named('position');
    this.#index = k.var('s32', nothing).named('index');
    this.#next = k.var('u32', noRow).named('next_row');
    this.#own = k.var('u32', noRow).named('own_row');
  }

  /** Starts to look for the first block of a piece. */
  begin(picks: Picks): void {
    this.#position.set(this.#k.mad(picks.from, tileTokens, this.#place.ownToken));
    this.#seek(picks);
  }

  /** Goes to the block for which {@link begin} looks. */
  first(picks: Picks): void {
    this.#findNext();
    this.#seek(picks);
    this.advance(picks);
  }

  /** Goes to the block that comes next. */
  advance(picks: Picks): void {
    const k = this.#k;
    const isPresent = this.#next.ne(noRow);
    this.present.set(k.ballot(isPresent).and(allPresent));
    // What is missing reads a row that the query has picked: what is in it reaches the result anyway.
    const stand = k.shuffle(this.#next as Value<'u32'>, k.clz(k.brev<'b32'>(this.present)));
    this.#own.set(k.select<'u32'>(isPresent, this.#next, stand));
    this.#findNext();
    this.#seek(picks);
  }

  /** Starts to read the indices of the block behind those that were read; none lie behind the last. */
  #seek({ indices, limit }: Picks): void {
    const position = this.#position;
    this.#index.set(indices.at(position).loadIf(position.lt(limit), nothing, { nc: true }));
    position.addTo(tileTokens);
  }

  /** Finds the row of the block whose indices were sought, and asks for it. */
  #findNext(): void {
    const k = this.#k;
    const { mainTokens, mainStrides } = this.#p;
    const token = this.#index.as('u32');
    this.#next.set(noRow);
    k.if(token.lt(mainTokens), () => {
      const block = token.div(this.#cache.pageSize);
      const offset = token.rem(this.#cache.pageSize);
      const row = k.mad(block, mainStrides[0], offset.mul(mainStrides[1]));
      this.#next.set(row);
      if (!this.#cache.prefetches) return;
      k.if(this.#place.lane.lt(warpTokens), () => k.bulkPrefetch(this.#pointer(row), rowBytes));
    });
  }

  /** Whether any of the warp's tokens is there: uniform. Without one there are no rows to read. */
  anyPresent(): Value<'pred'> {
    return this.present.ne(0);
  }

  /** The own token's row. */
  own(): Pointer<'global', 'u8'> {
    return this.#pointer(this.#own);
  }

  /** The lane's 16 bytes of the first 128 of its `i`-th token; whole warps. */
  share(i: number): Pointer<'global', 'u8'> {
    const { firstToken, chunk } = this.#place;
    const row = this.#k.shuffle(this.#own as Value<'u32'>, firstToken.add(i * tokensAtOnce));
    return this.#pointer(row.add(chunk));
  }

  #pointer(row: Value<'u32'>): Pointer<'global', 'u8'> {
    return this.#p.mainCache.plus(row, 16);
  }
}
