import { type Ops, type ParamValues, Pointer, type Value, type Var } from '@flash-mla/ptx';
import { tileTokens } from '../dense/tile.ts';
import type { SparseParams } from './params.ts';
import { isFirstOwner, type ProducerPlace } from './place.ts';
import {
  loadedBytes,
  model1RowBytes,
  type SparseLayout,
  tokensAtOnce,
  v32ScaleOffset,
  warpTokens,
} from './tile.ts';
import type { Picks, PiecePicks } from './work.ts';

/** What the code that finds rows depends on. */
export interface CacheCode {
  readonly layout: SparseLayout;
  readonly pageSize: number;
  /** 0: there is no second cache. */
  readonly extraPageSize: number;
  /** Asks the second-level cache for rows a block before they are loaded. */
  readonly prefetches: boolean;
}

const nothing = -1;
/** A row that is not there; those that are have smaller numbers. */
const noRow = 2 ** 32 - 1;
/** Marks rows of the second cache. */
const inExtra = 2 ** 31;
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
  /** model1: their scales, in units of 8 bytes from the beginning of their cache. */
  readonly #nextScales: Var<'u32'>;
  readonly #ownScales: Var<'u32'>;

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
    this.#nextScales = k.var('u32', 0);
    this.#ownScales = k.var('u32', 0);
  }

  /** Starts to look for the first block of a piece. */
  begin(picks: PiecePicks): void {
    this.#position.set(this.#k.mad(picks.from, tileTokens, this.#place.ownToken));
    this.#seek(picks);
  }

  /** Goes to the block for which {@link begin} looks. */
  first(picks: PiecePicks): void {
    this.#findNext(picks);
    this.#seek(picks);
    this.advance(picks);
  }

  /** Goes to the block that comes next. */
  advance(picks: PiecePicks): void {
    const k = this.#k;
    const isPresent = this.#next.ne(noRow);
    this.present.set(k.ballot(isPresent).and(allPresent));
    // What is missing reads a row that the query has picked: what is in it reaches the result anyway.
    const stand = k.shuffle(this.#next as Value<'u32'>, k.clz(k.brev<'b32'>(this.present)));
    this.#own.set(k.select<'u32'>(isPresent, this.#next, stand));
    if (this.#cache.layout === 'model1') {
      const scales = k.shuffle(
        this.#nextScales as Value<'u32'>,
        k.clz(k.brev<'b32'>(this.present)),
      );
      this.#ownScales.set(k.select<'u32'>(isPresent, this.#nextScales, scales));
    }
    this.#findNext(picks);
    this.#seek(picks);
  }

  /** Starts to read the indices of the block behind those that were read; none lie behind the last. */
  #seek({ main, extra }: PiecePicks): void {
    const position = this.#position;
    const read = ({ indices, limit }: Picks, at: Value<'u32'>) => {
      // A choice between what is loaded and nothing would wait here for what is loaded.
      this.#index.set(nothing);
      this.#k.if(at.lt(limit), () => this.#index.set(indices().at(at).load({ nc: true })));
    };
    this.#inCache(extra, position, (cache) => {
      if (cache === 'main' || extra === undefined) read(main, position);
      else read(extra, position.sub(extra.first));
    });
    position.addTo(tileTokens);
  }

  /** Finds the row of the block whose indices were sought, and asks for it. */
  #findNext({ extra }: PiecePicks): void {
    const k = this.#k;
    const { layout, pageSize, extraPageSize, prefetches } = this.#cache;
    const token = this.#index.as('u32');
    this.#next.set(noRow);
    this.#inCache(extra, this.#position.sub(tileTokens), (cache) => {
      const [perBlock, perToken] = this.#p[`${cache}Strides`];
      const page = cache === 'main' ? pageSize : extraPageSize;
      k.if(token.lt(this.#p[`${cache}Tokens`]), () => {
        const block = token.div(page);
        const offset = token.rem(page);
        const row = k.mad(block, perBlock, offset.mul(perToken));
        this.#next.set(cache === 'main' ? row : row.or(inExtra));
        if (layout === 'model1') {
          // Scales are 8 bytes each, behind the rows of the block.
          this.#nextScales.set(
            k.mad(block, perBlock.shl(1), offset.add((page * model1RowBytes) / 8)),
          );
        }
        if (!prefetches) return;
        const start = this.#p[`${cache}Cache`].plus(row, 16);
        k.if(isFirstOwner(this.#place), () => k.bulkPrefetch(start, loadedBytes(layout)));
      });
    });
  }

  /** Runs code for the cache that a position belongs to: the same in all lanes. */
  #inCache(
    extra: PiecePicks['extra'],
    position: Value<'u32'>,
    body: (cache: 'main' | 'extra') => void,
  ): void {
    if (extra === undefined) {
      body('main');
      return;
    }
    const isExtra = position.ge(extra.first);
    this.#k.if(
      isExtra,
      () => body('extra'),
      () => body('main'),
      { uniform: true },
    );
  }

  /** Whether any of the warp's tokens is there: uniform. Without one there are no rows to read. */
  anyPresent(): Value<'pred'> {
    return this.present.ne(0);
  }

  /** The own token's scales. */
  scales(): Pointer<'global', 'u8'> {
    if (this.#cache.layout === 'v32') return this.#start(this.#own).bytes(v32ScaleOffset);
    return this.#base(this.#own).plus(this.#ownScales, 8);
  }

  /** The lane's 16 bytes of the first 128 of its `i`-th token; whole warps. */
  share(i: number): Pointer<'global', 'u8'> {
    const { firstToken, chunk } = this.#place;
    const row = this.#k.shuffle(this.#own as Value<'u32'>, firstToken.add(i * tokensAtOnce));
    return this.#start(row.add(chunk));
  }

  #start(row: Value<'u32'>): Pointer<'global', 'u8'> {
    const units = this.#cache.extraPageSize > 0 ? row.and(inExtra - 1) : row;
    return this.#base(row).plus(units, 16);
  }

  /** The first byte of the cache that a row is in. */
  #base(row: Value<'u32'>): Pointer<'global', 'u8'> {
    const { mainCache, extraCache } = this.#p;
    if (this.#cache.extraPageSize === 0) return mainCache;
    const isExtra = row.ge(inExtra);
    const base = this.#k.select<'u64'>(isExtra, extraCache.address(), mainCache.address());
    return new Pointer('global', 'u8', base);
  }
}
