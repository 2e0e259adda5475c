import type { MemType, Ops, Pointer, Value } from '@flash-mla/ptx';
import type { RowLookup } from './keys.ts';
import { type MissingPages, type Pages, type PageWatch, pageTable } from './page-table.ts';
import type { MlaTile } from './tile.ts';

/** A request's tokens in a paged cache. */
export interface PagedTokens extends Pages {
  /** The cache, moved to the KV head. */
  readonly cache: Pointer<'global', MemType>;
  /** Elements between blocks and between the tokens of a block. */
  readonly blockStride: Value<'u64'>;
  readonly tokenStride: Value<'u64'>;
}

/** Looks up the rows of a tile that a thread copies. */
export function pagedLookup(
  k: Ops,
  tile: MlaTile,
  tokens: PagedTokens,
  rows: readonly Value<'u32'>[],
  watch: PageWatch,
): RowLookup & { readonly missing: MissingPages } {
  const table = pageTable(k, tile.tokens, tokens, rows, watch);
  return {
    seek: table.seek,
    missing: table.missing,
    locate(t, i) {
      const { present, page, within } = table.locate(t, i);
      const from = tokens.cache
        .at(k.widen(page).mul(tokens.blockStride))
        .at(k.widen(within).mul(tokens.tokenStride));
      return { present, from };
    },
  };
}
