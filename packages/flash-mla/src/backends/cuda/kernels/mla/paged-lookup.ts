import type { MemType, Ops, Pointer, Value } from '@flash-mla/ptx';
import type { RowLookup } from './keys.ts';
import type { MlaTile } from './tile.ts';

/** A request's tokens in a paged cache. */
export interface PagedTokens {
  /** The cache, moved to the KV head. */
  readonly cache: Pointer<'global', MemType>;
  /** Elements between blocks and between the tokens of a block. */
  readonly blockStride: Value<'u64'>;
  readonly tokenStride: Value<'u64'>;
  /** Known while building: dividing by it must be cheap. */
  readonly pageSize: number;
  /** The request's row of the block table. */
  readonly pages: Pointer<'global', 'u32'>;
  /** Tokens of the request. */
  readonly length: Value<'u32'>;
}

/** Looks up the pages of a thread's rows: once where a page holds whole tiles, else row by row. */
export function pagedLookup(
  k: Ops,
  tile: MlaTile,
  tokens: PagedTokens,
  rows: readonly Value<'u32'>[],
): RowLookup {
  const { pageSize, pages, length } = tokens;
  const onePage = pageSize % tile.tokens === 0;
  const found = k.vars('u32', onePage ? 1 : rows.length, 0);
  const first = (t: Value<'u32'>) => t.mul(tile.tokens);
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
      const from = tokens.cache
        .at(k.widen<'u32'>(found[onePage ? 0 : i]).mul(tokens.blockStride))
        .at(k.widen(within).mul(tokens.tokenStride));
      return { present: token.lt(length), from };
    },
  };
}
