import type { MemType, Ops, Pointer, Value } from '@flash-mla/ptx';
import type { RowLookup } from './keys.ts';
import { biasSlot } from './mask.ts';
import { type Pages, pageTable } from './page-table.ts';
import type { MlaShared } from './shared.ts';
import type { MlaTile } from './tile.ts';

/** A request's tokens in a paged cache. */
export interface PagedTokens extends Pages {
  /** The cache, moved to the KV head. Called for every row, like `pages`. */
  readonly cache: () => Pointer<'global', MemType>;
  /** Elements between blocks and between the tokens of a block. */
  readonly blockStride: Value<'u64'>;
  readonly tokenStride: Value<'u64'>;
}

/** Looks up the rows of a tile that a thread copies. */
export function pagedLookup(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  tokens: PagedTokens,
  rows: readonly Value<'u32'>[],
): RowLookup {
  const table = pageTable(k, tile.tokens, tokens, rows, shared);
  return {
    seek: table.seek,
    note: (t, stage) => table.note(t, biasSlot(tile, t, stage)),
    locate(t, i) {
      const { present, page, within } = table.locate(t, i);
      const from = tokens
        .cache()
        .at(k.widen(page).mul(tokens.blockStride))
        .at(k.widen(within).mul(tokens.tokenStride));
      return { present, from };
    },
  };
}
