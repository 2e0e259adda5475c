import type { PageKey } from './page-key.ts';
import { PagePool } from './page-pool.ts';

/** Where the K/V of one sequence lies; made and changed by the `KvCache` alone. */
export class BlockTable {
  /** Page i holds the tokens from i · pageSize on. It only ever grows: a step in flight may read it. */
  readonly pages: number[];
  /** Tokens found in the prefix cache when the table was opened: a multiple of the page size. */
  readonly numCachedTokens: number;
  /** Tokens that it was opened for: those of a prompt. */
  readonly numPromptTokens: number;
  /** Leading pages that were found or published. */
  numPublished: number;

  constructor(cachedPages: number[], numPromptTokens: number, pageSize: number) {
    this.numPromptTokens = numPromptTokens;
    this.pages = cachedPages;
    this.numCachedTokens = cachedPages.length * pageSize;
    this.numPublished = cachedPages.length;
  }
}

/** What a sequence would take from the pool if it were opened now. */
export interface OpenCost {
  /** Leading pages that are cached and usable. */
  readonly numCachedPages: number;
  /** Free pages that it takes: new ones, and cached ones that nobody refers to. */
  readonly numFreePages: number;
}

export interface KvCacheOptions {
  /** Pages of the device's cache, the reserved page 0 included. */
  readonly totalPages: number;
  /** Tokens in a page. */
  readonly pageSize: number;
  /**
   * In deterministic mode, the pages of a chunk: only whole chunks are shared, and only as a prompt has filled them.
   * What a decode writes, and a chunk that is cut elsewhere, has other last bits.
   */
  readonly chunkPages?: number | undefined;
}

/**
 * Gives pages to sequences, and finds those whose tokens are in pages already.
 *
 * Only whole pages are shared, and only after they were computed. Sharing needs no copies: what a
 * sequence writes next always lies in a page of its table. Of a sequence of n tokens at most n − 1 are
 * taken from the cache, because the last one must be computed to predict the next.
 */
export class KvCache {
  readonly pageSize: number;
  readonly pool: PagePool;
  /** Pages that are shared together or not at all. */
  readonly pagesShared: number;
  readonly #sharesPromptsOnly: boolean;
  readonly #open = new Set<BlockTable>();

  constructor({ chunkPages, pageSize, totalPages }: KvCacheOptions) {
    this.pageSize = pageSize;
    this.pagesShared = chunkPages ?? 1;
    this.#sharesPromptsOnly = chunkPages !== undefined;
    this.pool = new PagePool(totalPages);
  }

  /** Sequences that have a table. */
  get numOpen(): number {
    return this.#open.size;
  }

  /** Pages that so many tokens take. */
  pagesOf(numTokens: number): number {
    return Math.ceil(numTokens / this.pageSize);
  }

  /** What opening a sequence of `numTokens` tokens would take. Changes nothing. */
  costOf(keys: readonly PageKey[], numTokens: number): OpenCost {
    const found = this.#find(keys, numTokens);
    let numUnused = 0;
    for (const page of found) if (this.pool.refCount(page) === 0) numUnused++;
    const numNew = this.pagesOf(numTokens) - found.length;
    return { numCachedPages: found.length, numFreePages: numNew + numUnused };
  }

  /**
   * Makes a table for the whole sequence: cached pages first, new ones behind. Undefined, and nothing
   * changed, when there are not enough free pages.
   */
  open(keys: readonly PageKey[], numTokens: number): BlockTable | undefined {
    if (this.costOf(keys, numTokens).numFreePages > this.pool.numFree) return undefined;
    const pages = this.#find(keys, numTokens);
    // Retained before anything is allocated, which could evict them.
    for (const page of pages) this.pool.retain(page);
    const table = new BlockTable(pages, numTokens, this.pageSize);
    this.#open.add(table);
    this.grow(table, numTokens);
    return table;
  }

  /** Makes a table cover `numTokens` tokens. False, and nothing changed, when pages are missing. */
  grow(table: BlockTable, numTokens: number): boolean {
    const numMissing = this.pagesOf(numTokens) - table.pages.length;
    if (numMissing > this.pool.numFree) return false;
    for (let i = 0; i < numMissing; i++) {
      const page = this.pool.allocate();
      if (page !== undefined) table.pages.push(page);
    }
    return true;
  }

  /** Lets others find the pages that the first `numComputed` tokens fill. Call it when they are computed. */
  publish(table: BlockTable, keys: readonly PageKey[], numComputed: number): void {
    const { numPromptTokens } = table;
    const numTokens = this.#sharesPromptsOnly
      ? Math.min(numComputed, numPromptTokens)
      : numComputed;
    const numFull = this.#whole(Math.min(Math.floor(numTokens / this.pageSize), keys.length));
    for (; table.numPublished < numFull; table.numPublished++) {
      const [page, key] = [table.pages[table.numPublished], keys[table.numPublished]];
      if (page !== undefined && key !== undefined) this.pool.publish(page, key);
    }
  }

  /** Gives the pages back, the last one first, so that of a long prefix the end is evicted first. */
  close(table: BlockTable): void {
    if (!this.#open.delete(table)) return;
    for (let i = table.pages.length - 1; i >= 0; i--) this.pool.release(table.pages[i] ?? 0);
  }

  /** Pages that would become free if the table were closed. */
  exclusivePages(table: BlockTable): number {
    let count = 0;
    for (const page of table.pages) if (this.pool.refCount(page) === 1) count++;
    return count;
  }

  #find(keys: readonly PageKey[], numTokens: number): number[] {
    const limit = Math.min(keys.length, Math.floor((numTokens - 1) / this.pageSize));
    const pages: number[] = [];
    for (let i = 0; i < limit; i++) {
      const key = keys[i];
      const page = key === undefined ? undefined : this.pool.find(key);
      if (page === undefined) break;
      pages.push(page);
    }
    pages.length = this.#whole(pages.length);
    return pages;
  }

  /** Of so many pages, those that can be shared. */
  #whole(numPages: number): number {
    return numPages - (numPages % this.pagesShared);
  }
}
