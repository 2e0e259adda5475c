import { KvCacheError } from '../errors.ts';
import type { PageKey } from './page-key.ts';
import { PageList } from './page-list.ts';

/**
 * The pages of a KV cache: who refers to them, which hold a known prefix, and which are given out next.
 *
 * A page without a reference is free. If it has a key it is also cached: it stays where it is until it is
 * wanted for something else. Free pages stand in one list. What has no key goes to the front and is
 * given out first; what has a key goes to the back, so the front of the keyed ones is the least recently
 * used.
 */
export class PagePool {
  /** Pages that can be given out. */
  readonly numPages: number;
  /** Numbers below it are never given out: page 0 takes what padded rows of a batch write. */
  readonly firstPage: number;
  readonly #refCounts: Int32Array;
  readonly #keys: (PageKey | undefined)[];
  readonly #byKey = new Map<PageKey, number>();
  readonly #free: PageList;

  /** @param totalPages pages of the device's cache, `numReserved` at the front included. */
  constructor(totalPages: number, numReserved = 1) {
    this.numPages = totalPages - numReserved;
    this.firstPage = numReserved;
    this.#refCounts = new Int32Array(totalPages);
    this.#keys = new Array<PageKey | undefined>(totalPages).fill(undefined);
    this.#free = new PageList(totalPages);
    for (let page = numReserved; page < totalPages; page++) this.#free.push(page);
  }

  /** Pages without a reference, cached ones included. */
  get numFree(): number {
    return this.#free.length;
  }

  /** Pages that can be found by a key, referred to or not. */
  get numCached(): number {
    return this.#byKey.size;
  }

  refCount(page: number): number {
    return this.#refCounts[page] ?? 0;
  }

  /** The page that holds a prefix. */
  find(key: PageKey): number | undefined {
    return this.#byKey.get(key);
  }

  /** Gives out a page with one reference and no key; undefined when none is free. */
  allocate(): number | undefined {
    const page = this.#free.shift();
    if (page === undefined) return undefined;
    this.#forget(page);
    this.#refCounts[page] = 1;
    return page;
  }

  /** Adds a reference to a page that has one already or is cached. */
  retain(page: number): void {
    const count = this.refCount(page);
    if (count === 0) {
      if (this.#keys[page] === undefined) throw misuse(page, 'a cached page', 'a free one');
      this.#free.remove(page);
    }
    this.#refCounts[page] = count + 1;
  }

  /** Takes a reference away. The last one makes the page free. */
  release(page: number): void {
    const count = this.refCount(page);
    if (count === 0) throw misuse(page, 'a page with a reference', 'a free one');
    this.#refCounts[page] = count - 1;
    if (count > 1) return;
    if (this.#keys[page] === undefined) this.#free.unshift(page);
    else this.#free.push(page);
  }

  /**
   * Makes a page that is full and computed known by its key. If another page has the key already, that
   * one stays the known one and this page simply is not shared.
   */
  publish(page: number, key: PageKey): void {
    if (this.refCount(page) === 0) throw misuse(page, 'a page with a reference', 'a free one');
    if (this.#byKey.has(key)) return;
    this.#forget(page);
    this.#keys[page] = key;
    this.#byKey.set(key, page);
  }

  /** Free pages in the order in which they would be given out. */
  freePages(): number[] {
    return [...this.#free];
  }

  /** @throws KvCacheError if the parts of the pool contradict each other. Takes time by all pages. */
  checkIntegrity(): void {
    let free = 0;
    for (let page = this.firstPage; page < this.firstPage + this.numPages; page++) {
      const isFree = this.refCount(page) === 0;
      if (isFree) free++;
      if (isFree !== this.#free.has(page))
        throw misuse(page, 'free or referred to', 'both or none');
      const key = this.#keys[page];
      if (key !== undefined && this.#byKey.get(key) !== page)
        throw misuse(page, 'to be found by its key', 'another page or none');
    }
    const keyed = this.#keys.filter((key) => key !== undefined).length;
    if (free !== this.#free.length || keyed !== this.#byKey.size)
      throw misuse(-1, 'as many free and cached pages as counted', `${free} and ${keyed}`);
  }

  #forget(page: number): void {
    const key = this.#keys[page];
    if (key === undefined) return;
    this.#keys[page] = undefined;
    this.#byKey.delete(key);
  }
}

function misuse(page: number, expected: string, actual: string): KvCacheError {
  const remedy = 'This is a defect of the program that uses the pool.';
  return new KvCacheError({ subject: `page ${page}`, expected, actual, remedy });
}
