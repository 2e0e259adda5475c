import type { Ops, Pointer, SharedArray, Value, Var } from '@flash-mla/ptx';
import type { MlaTile } from './tile.ts';

/** A request's pages of a paged cache. */
export interface Pages {
  /** Known while building: dividing by it must be cheap. */
  readonly pageSize: number;
  /** The request's row of the block table. Called for every tile: a kernel short of registers computes it anew. */
  readonly pages: () => Pointer<'global', 'u32'>;
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
  /** The thread's `i`-th row of the tile sought last. */
  locate(tile: Value<'u32'>, i: number): TokenPlace;
  /** Leaves in a slot which tokens of the tile sought last lie in no page, for {@link hideMissing}. */
  note(tile: Value<'u32'>, slot: Value<'u32'>): void;
}

/** Whether tiles of `tokens` may lie in several pages. */
export const isScattered = (pageSize: number, tokens: number): boolean => pageSize % tokens !== 0;

/** How tiles of `tokens` lie in pages; undefined: there are none. */
export function pagesOf(pageSize: number | undefined, tokens: number): MlaTile['pages'] {
  if (pageSize === undefined) return 'none';
  return isScattered(pageSize, tokens) ? 'scattered' : 'one';
}

/**
 * Shared memory in which the threads that look up pages tell all others of entries that name nothing. A
 * tile in one page has one word. Where tokens have a word each, most tiles are spared to read them by
 * `some`, which is not 0 as soon as any token was missing, and which {@link clearMissing} makes 0.
 */
export interface MissingShared {
  /** (slots, 1 or the tokens of a tile): not 0 where missing. */
  readonly missing: SharedArray<'u32'>;
  readonly someMissing: SharedArray<'u32'>;
}

/** Before the first tile of a CTA; ends with a barrier if there is anything to do. */
export function clearMissing(k: Ops, { someMissing }: MissingShared): void {
  if (someMissing.placed.shape[0] === 0) return;
  k.if(k.threadIdx.x.eq(0), () => someMissing.at(0).store(0));
  k.barrier();
}

/** Looks up pages: once where a page holds whole tiles, else row by row. */
export function pageTable(
  k: Ops,
  tokens: number,
  { pageSize, pages, numBlocks, length }: Pages,
  rows: readonly Value<'u32'>[],
  { missing, someMissing }: MissingShared,
): PageTable {
  const onePage = !isScattered(pageSize, tokens);
  const found = k.vars('u32', onePage ? 1 : rows.length, 0);
  const first = (t: Value<'u32'>) => t.mul(tokens);
  const missingOf = (page: Value<'u32'>) => k.select(page.lt(numBlocks), 0, 1, 'u32');
  return {
    seek(t) {
      const row = pages();
      found.forEach((page, i) => {
        const token = onePage ? first(t) : first(t).add(rows[i]);
        const at = row.at(token.div(pageSize));
        page.set(at.loadIf(token.lt(length), 0, { nc: true }));
      });
    },
    locate(t, i) {
      const token = first(t).add(rows[i]);
      const page = found[onePage ? 0 : i];
      const within = onePage ? first(t).rem(pageSize).add(rows[i]) : token.rem(pageSize);
      return { present: token.lt(length).and(page.lt(numBlocks)), page, within };
    },
    // Threads that share a row store the same.
    note(_, slot) {
      found.forEach((page, i) => {
        missing.at(slot, onePage ? 0 : rows[i]).store(missingOf(page));
        if (onePage) return;
        k.if(page.ge(numBlocks), () => someMissing.at(0).store(1, { relaxed: 'cta' }));
      });
    },
  };
}

/**
 * Hides the tokens of a tile that lie in no page. A lane has pairs of neighbouring tokens in every 8, the
 * first of them at `column`: four scores each, of two rows.
 */
export function hideMissing(
  k: Ops,
  { missing, someMissing }: MissingShared,
  slot: Value<'u32'>,
  column: () => Value<'u32'>,
  scores: readonly (readonly Var<'f32'>[])[],
): void {
  const never = Number.NEGATIVE_INFINITY;
  const [, width] = missing.placed.shape;
  if (width === 1) {
    const hideAll = () => {
      for (const s of scores.flat()) s.set(never);
    };
    k.if(missing.at(slot, 0).load().ne(0), hideAll, { uniform: true });
    return;
  }
  const hideSome = () => {
    const from = missing.at(slot, column());
    scores.forEach((acc, j) => {
      const words = from.at(8 * j).loadVec(2);
      acc.forEach((s, i) => {
        s.set(k.select(words[i & 1].eq(0), s, never));
      });
    });
  };
  k.if(someMissing.at(0).load({ relaxed: 'cta' }).ne(0), hideSome, { uniform: true });
}
