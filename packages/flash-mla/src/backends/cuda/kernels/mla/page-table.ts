import type { Ops, Pointer, Value } from '@flash-mla/ptx';

/** A request's pages of a paged cache. */
export interface Pages {
  /** Known while building: dividing by it must be cheap. */
  readonly pageSize: number;
  /** The request's row of the block table. */
  readonly pages: Pointer<'global', 'u32'>;
  /** Blocks of the cache: an entry of the table that is not below names nothing. */
  readonly numBlocks: Value<'u32'>;
  /** Tokens of the request. */
  readonly length: Value<'u32'>;
}

/** Where a token is. */
export interface TokenPlace {
  readonly present: Value<'pred'>;
  readonly page: Value<'u32'>;
  readonly within: Value<'u32'>;
}

/** Finds the pages of the `rows` of a tile of `tokens` that one thread helps to copy. */
export interface PageTable {
  /** Reads the block table for a tile. */
  seek(tile: Value<'u32'>): void;
  /** The thread's `i`-th row of the tile sought last; notes that its page is missing unless told not to. */
  locate(tile: Value<'u32'>, i: number, notes?: boolean): TokenPlace;
  /** What is known of entries that name nothing. */
  readonly missing: MissingPages;
}

/**
 * Entries of the table that name nothing, whose tokens nobody sees. They are hardly ever met, so that
 * tiles need no look at the table but the one that finds their rows: what that meets lowers the limit
 * below which nothing is hidden, for this tile and, which costs time only, for later ones.
 */
export interface MissingPages {
  /** All rows see the tokens below this; 0 once an entry was met. */
  seenByAll(): Value<'u32'>;
  /** Whether the tokens of a tile lie in one page. */
  readonly onePage: boolean;
  /** Whether a token lies in no page, or behind the last token. Reads the table again. */
  isMissing(token: Value<'u32'>): Value<'pred'>;
}

/** What takes note of missing pages. */
export interface PageWatch {
  /** All rows see the tokens below this, wherever these are. */
  readonly seenByAll: Value<'u32'>;
  /**
   * A word that is 0 at first, by which threads that look up different pages tell one another; needed
   * where a tile lies in several pages.
   */
  readonly flag: Pointer<'shared', 'u32'> | undefined;
}

/** Whether tiles of `tokens` may lie in several pages. */
export const isScattered = (pageSize: number, tokens: number): boolean => pageSize % tokens !== 0;

/** Looks up pages: once where a page holds whole tiles, else row by row. */
export function pageTable(
  k: Ops,
  tokens: number,
  { pageSize, pages, numBlocks, length }: Pages,
  rows: readonly Value<'u32'>[],
  watch: PageWatch,
): PageTable {
  const onePage = !isScattered(pageSize, tokens);
  const found = k.vars('u32', onePage ? 1 : rows.length, 0);
  const first = (t: Value<'u32'>) => t.mul(tokens);
  const entryOf = (token: Value<'u32'>, otherwise: number) =>
    pages.at(token.div(pageSize)).loadIf(token.lt(length), otherwise, { nc: true });
  const { flag } = watch;
  const seenByAll = k.var('u32', watch.seenByAll).named('seen_by_all');
  const note = (isThere: Value<'pred'>) => {
    if (flag === undefined) seenByAll.set(k.select<'u32'>(isThere, seenByAll, 0));
    else k.if(isThere.not(), () => flag.store(1, { relaxed: 'cta' }));
  };
  return {
    seek(t) {
      found.forEach((page, i) => {
        page.set(entryOf(onePage ? first(t) : first(t).add(rows[i]), 0));
      });
    },
    locate(t, i, notes = true) {
      const token = first(t).add(rows[i]);
      const page = found[onePage ? 0 : i];
      const isThere = page.lt(numBlocks);
      if (notes && (!onePage || i === 0)) note(isThere);
      const within = onePage ? first(t).rem(pageSize).add(rows[i]) : token.rem(pageSize);
      return { present: token.lt(length).and(isThere), page, within };
    },
    missing: {
      seenByAll() {
        if (flag === undefined) return seenByAll;
        return k.select<'u32'>(flag.load({ relaxed: 'cta' }).eq(0), seenByAll, 0);
      },
      onePage,
      isMissing: (token) => entryOf(token, 2 ** 32 - 1).ge(numBlocks),
    },
  };
}
