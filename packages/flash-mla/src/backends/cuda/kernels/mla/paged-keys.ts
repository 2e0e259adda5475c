import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import { type Alignment, copyRow, segmentChunks } from './copy.ts';
import type { KeySource } from './keys.ts';
import { maskBeyond, type RowLimits } from './mask.ts';
import type { WarpPlace } from './place.ts';
import type { MlaShared } from './shared.ts';
import type { Element } from './tile.ts';
import { ctaThreads, type MlaTile, tileShape } from './tile.ts';

/** A request's tokens in a paged cache. */
export interface PagedTokens {
  /** The cache, moved to the KV head. */
  readonly cache: Pointer<'global', Element | 'e4m3'>;
  readonly stored: Element | 'e4m3';
  readonly alignment: Alignment;
  /** Elements between blocks and between the tokens of a block. */
  readonly blockStride: Value<'u64'>;
  readonly tokenStride: Value<'u64'>;
  /** Known while building: dividing by it must be cheap. */
  readonly pageSize: number;
  /** The request's row of the block table. */
  readonly pages: Pointer<'global', 'u32'>;
  /** Tokens of the request. */
  readonly length: Value<'u32'>;
  readonly limits: RowLimits;
}

/** The pages of `rows` tokens of a tile, looked up a tile ahead: one lookup where a page holds the tile. */
export function pageLookup(
  k: Ops,
  tile: MlaTile,
  tokens: PagedTokens,
  rows: readonly Value<'u32'>[],
) {
  const { pageSize, pages, length } = tokens;
  const onePage = pageSize % tile.tokens === 0;
  const found = k.vars('u32', onePage ? 1 : rows.length, 0);
  const first = (t: Value<'u32'>) => t.mul(tile.tokens);
  return {
    seek(t: Value<'u32'>): void {
      found.forEach((page, i) => {
        const token = onePage ? first(t) : first(t).add(rows[i]);
        page.set(pages.at(token.div(pageSize)).loadIf(token.lt(length), 0, { nc: true }));
      });
    },
    /** Whether row `i` exists, and its first element. */
    locate(t: Value<'u32'>, i: number) {
      const token = first(t).add(rows[i]);
      const within = onePage ? first(t).rem(pageSize).add(rows[i]) : token.rem(pageSize);
      const from = tokens.cache
        .at(k.widen(found[onePage ? 0 : i]).mul(tokens.blockStride))
        .at(k.widen(within).mul(tokens.tokenStride));
      return { present: token.lt(length), from };
    },
  };
}

/** Key rows of a paged cache that need no decoding. */
export function pagedKeys(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  tokens: PagedTokens,
): KeySource {
  const { width } = tileShape(tile);
  const chunk = place.thread.and(segmentChunks - 1);
  const first = place.thread.shr(Math.log2(segmentChunks));
  const rowsAtOnce = ctaThreads / segmentChunks;
  const rows = Array.from({ length: tile.tokens / rowsAtOnce }, (_, i) =>
    first.add(i * rowsAtOnce),
  );
  const lookup = pageLookup(k, tile, tokens, rows);
  return {
    seek: lookup.seek,
    fetch(t, stage) {
      rows.forEach((row, i) => {
        const { alignment } = tokens;
        const to = shared.keys.row(stage, row);
        const common = { chunk, columns: tile.headDimQk, width, alignment };
        const { present, from } = lookup.locate(t, i);
        copyRow(k, { to, from: from.as(tile.element), present, ...common });
      });
    },
    mask: (t, _stage, scores) => maskBeyond(k, tile, place, tokens.limits, t, scores),
  };
}
