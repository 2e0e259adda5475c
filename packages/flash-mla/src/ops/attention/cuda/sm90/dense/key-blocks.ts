import type { Ops, Pointer, TensorMap, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { tileTokens } from './tile.ts';

/** Blocks of a request, and where they are. */
export interface KeyBlocks<S extends Element | 'e4m3'> {
  /** As `decodeParams` describes it. */
  readonly map: TensorMap<S>;
  readonly headKv: Value<'u32'>;
  readonly pageSize: number;
  /** The request's row of the block table, and the row's last entry. */
  readonly pages: Pointer<'global', 'u32'>;
  readonly lastPage: Value<'u32'>;
  /** Blocks of the cache: an entry of the table that is not below names nothing. */
  readonly numBlocks: Value<'u32'>;
  readonly from: Value<'u32'>;
  /** Behind the last; reads the request's length. */
  end(): Value<'u32'>;
}

/**
 * What the second-level cache is to do with keys. A call reads them once, or at about the same time, and
 * they are more than it holds: first to go, they leave room for what is read again, such as schedules
 * and results of splits, which would be written to memory and read from there.
 */
export const keyPolicy = (k: Ops): Value<'b64'> => k.cachePolicy('evict_first');

/**
 * Runs `body` for each block with its page and its first token there; a whole warp. The first pages are
 * on their way before it is known where the blocks end: what a row of the table has behind is not used.
 * Of a page that is missing, copies outside of the tensor map bring zeros.
 */
export function forEachBlock<S extends Element | 'e4m3'>(
  k: Ops,
  { pageSize, pages: table, lastPage, numBlocks, from, end }: KeyBlocks<S>,
  body: (page: Value<'u32'>, token: Value<'u32'>) => void,
): void {
  const blocksPerPage = pageSize / tileTokens;
  const pageOf = (block: Value<'u32'>) =>
    table
      .at(block.add(k.laneId).div(blocksPerPage).min(lastPage))
      .load({ nc: true })
      .min(numBlocks);
  /** The pages of 32 blocks, one per lane. */
  const pages = k.var('u32', pageOf(from)).named('pages');
  const to = end();
  k.for({ from, to, name: 'block', uniform: true, unroll: false }, (block) => {
    const index = block.sub(from).and(31);
    k.if(index.eq(0).and(block.ne(from)), () => pages.set(pageOf(block)), { uniform: true });
    const page = k.shuffle(pages as Value<'u32'>, index);
    const token = block.rem(blocksPerPage).mul(tileTokens);
    body(page, token);
  });
}
