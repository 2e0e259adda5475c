import type { HostTensor } from '@flash-mla/core';
import { choice, flag, integer } from '../../../conformance/property/parameters.ts';
import { wildNumbers } from '../../../conformance/property/wild-numbers.ts';
import type { Random } from '../../../conformance/suite/random.ts';
import { counted } from './lengths.ts';

/** A paged cache and its block table. */
export const pagedSpace = {
  page: integer(1, 130, { usual: [64, 64, 16, 1] }),
  maxBlocks: integer(1, 8),
  blocks: integer(1, 12),
  /** A cache of no blocks, whatever `blocks` says. */
  noBlocks: flag(0.03),
  /** A block table of no columns, whatever `maxBlocks` says. */
  noColumns: flag(0.02),
  /** `bad`: some entries that lengths reach name no block of the cache. */
  table: choice('good', 'good', 'bad'),
};

export interface PagedShape {
  readonly b: number;
  readonly page: number;
  readonly maxBlocks: number;
  readonly blocks: number;
  readonly noBlocks: boolean;
  readonly noColumns: boolean;
  readonly long?: boolean;
  readonly table: 'good' | 'bad';
}

/** The most blocks of a request. */
export function columnsOf({
  maxBlocks,
  noColumns,
  long = false,
}: Pick<PagedShape, 'maxBlocks' | 'noColumns' | 'long'>): number {
  return noColumns ? 0 : maxBlocks * (long ? 8 : 1);
}

export interface PagedDraw {
  readonly blockTable: HostTensor<'i32'>;
  readonly blocks: number;
  /** For each slot, block · page + offset: 1 where a request may read it. */
  readonly used: Uint8Array;
}

/**
 * A block table for requests whose lengths may be any of `lengths`. Blocks are shared between requests
 * and within one. Entries that no length reaches are far outside of the cache, or name any block.
 */
export function drawTable(
  { b, page, blocks: wanted, noBlocks, table, ...columns }: PagedShape,
  lengths: readonly Int32Array[],
  random: Random,
): PagedDraw {
  const maxBlocks = columnsOf(columns);
  const blocks = noBlocks ? 0 : wanted;
  const used = new Uint8Array(blocks * page);
  const data = new Int32Array(b * maxBlocks);
  const distinct = random.shuffle(Array.from({ length: blocks }, (_, i) => i));
  for (let i = 0; i < data.length; i++) {
    const [request, at] = [Math.floor(i / maxBlocks), i % maxBlocks];
    const longest = Math.max(...lengths.map((l) => counted(l[request], maxBlocks * page)));
    const tokens = Math.min(page, Math.max(0, longest - at * page));
    const isBad =
      blocks === 0 || (tokens === 0 ? random.chance(0.7) : table === 'bad' && random.chance(0.25));
    const any =
      blocks === 0 ? 0 : i < blocks ? (distinct[i] as number) : random.integer(0, blocks - 1);
    data[i] = isBad ? random.pick([...wildNumbers, blocks, blocks + 1]) : any;
    if (!isBad) used.fill(1, any * page, any * page + tokens);
  }
  return { blockTable: { dtype: 'i32', shape: [b, maxBlocks], data }, blocks, used };
}
