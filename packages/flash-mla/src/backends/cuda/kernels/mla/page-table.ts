import type { Ops, Pointer, Value } from '@flash-mla/ptx';

/** A request's pages of a paged cache. */
export interface Pages {
  /** Known while building: dividing by it must be cheap. */
  readonly pageSize: number;
  /** The request's row of the block table. */
  readonly pages: Pointer<'global', 'u32'>;
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
  /** The thread's `i`-th row of the tile sought last. */
  locate(tile: Value<'u32'>, i: number): TokenPlace;
}

/** Looks up pages: once where a page holds whole tiles, else row by row. */
export function pageTable(
  k: Ops,
  tokens: number,
  { pageSize, pages, length }: Pages,
  rows: readonly Value<'u32'>[],
): PageTable {
  const onePage = pageSize % tokens === 0;
  const found = k.vars('u32', onePage ? 1 : rows.length, 0);
  const first = (t: Value<'u32'>) => t.mul(tokens);
  return {
    seek(t) {
      found.forEach((page, i) => {
        const token = onePage ? first(t) : first(t).add(rows[i]);
        const at = pages.at(token.div(pageSize));
        page.set(at.loadIf(token.lt(length), 0, { nc: true }));
      });
    },
    locate(t, i) {
      const token = first(t).add(rows[i]);
      const within = onePage ? first(t).rem(pageSize).add(rows[i]) : token.rem(pageSize);
      return { present: token.lt(length), page: found[onePage ? 0 : i], within };
    },
  };
}
