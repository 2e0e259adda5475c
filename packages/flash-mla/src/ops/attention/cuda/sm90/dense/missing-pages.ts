import type { Ops, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { KeyBlocks } from './key-blocks.ts';
import type { Blocks } from './mask.ts';
import { type HopperShared, queryThreads, queryWarps, tileTokens } from './tile.ts';

/**
 * Entries of the block table that name no page, whose tokens nobody sees. The warps that fetch a piece's
 * queries look at its entries meanwhile and tell the consumers whether any is missing: then these ask of
 * every block, else of none, so that their loop has no work for it.
 */
export type MissingShared = Pick<HopperShared, 'missing'> & Partial<Pick<HopperShared, 'length'>>;

/** Pages that a thread reads at once. */
const pagesAtOnce = 4;

/**
 * Begins to look at the entries of a piece; by the producer's last three warps. What it returns tells the
 * consumers, when there is room for a piece's queries and before these are said to be there.
 */
export function lookForMissing<S extends Element | 'e4m3'>(
  k: Ops,
  { missing, length: lengthWord }: MissingShared,
  { pageSize, pages, lastPage, numBlocks, from, end }: KeyBlocks<S>,
  length: () => Value<'u32'>,
): () => void {
  const thread = k.threadIdx.x.sub(32);
  const first = from.div(pageSize / tileTokens).add(thread);
  const entryOf = (page: Value<'u32'>) => pages.at(page.min(lastPage)).load({ nc: true });
  // On its way before it is known where the piece ends.
  const entry = k.copy(entryOf(first));
  return () => {
    const all = length();
    if (lengthWord) k.if(thread.eq(0), () => lengthWord.at(0).store(all));
    const tokens = end().mul(tileTokens).min(all);
    const endPage = tokens.add(pageSize - 1).div(pageSize);
    const found = k.var('u32', 0);
    const look = (page: Value<'u32'>, at: Value<'u32'>) =>
      found.set(k.select<'u32'>(page.lt(endPage).and(at.ge(numBlocks)), 1, found));
    look(first, entry);
    const range = { from: first.add(queryThreads), to: endPage, step: queryThreads * pagesAtOnce };
    k.for({ ...range, unroll: false }, (page) => {
      const several = Array.from({ length: pagesAtOnce }, (_, i) => page.add(i * queryThreads));
      const entries = several.map(entryOf);
      for (const [i, each] of several.entries()) look(each, entries[i]);
    });
    const isMissing = k.any(found.ne(0));
    const word = missing.at(thread.shr(5));
    k.if(k.laneId.eq(0), () => word.store(k.select(isMissing, 1, 0, 'u32')));
  };
}

/** A piece's blocks as consumers must take them, once its queries are there. */
export function heedMissing(k: Ops, { missing }: MissingShared, blocks: Blocks): Blocks {
  const words = Array.from({ length: queryWarps }, (_, warp) => missing.at(warp).load());
  const any = words.reduce((a, b) => a.or(b));
  return { ...blocks, seenByAll: k.select<'u32'>(any.eq(0), blocks.seenByAll, 0) };
}

/**
 * The blocks of a piece, for a consumer that needs the request's length only where a block is not seen in
 * whole: it stands in shared memory until the consumers release the piece's queries.
 */
export function readLengthLate({ length }: Pick<HopperShared, 'length'>, blocks: Blocks): Blocks {
  return { ...blocks, length: () => length.at(0).load() };
}

/**
 * Up to which token a row sees of a block that not all rows see in whole: 0 where its page is missing.
 * It takes a look at the table only where the piece may lack a page.
 */
export function limitsOf(
  k: Ops,
  { seenByAll, limitOfRow, isMissing }: Blocks,
  block: Value<'u32'>,
  length: Value<'u32'>,
): (row: Value<'u32'>) => Value<'u32'> {
  const most = k.var('u32', 2 ** 32 - 1);
  const ask = () => most.set(k.select<'u32'>(isMissing(block), 0, most));
  k.if(seenByAll.eq(0), ask, { uniform: true });
  return (row) => limitOfRow(row, length).min(most);
}
