import { KvCacheError, RunnerError } from '../errors.ts';
import type { BlockTable } from '../kv-cache/kv-cache.ts';
import { PagePool } from '../kv-cache/page-pool.ts';
import type { SwapInTotals } from '../runner/model-runner.ts';
import { type Copy, DevicePages } from './device-pages.ts';
import type { PagePair, PageTransfers } from './transfers.ts';

export interface HiSparseSizes {
  /** Pages of the device's pool, the reserved page 0 included. */
  readonly totalPages: number;
  readonly pageSize: number;
  /** H. */
  readonly bufferSize: number;
}

/**
 * Gives device pages to requests whose K/V is kept on the host, and copies between the two. Pages of the
 * host, which are those of block tables, are the `KvCache`'s.
 *
 *     open ──► (load) ──► prefill ──► stage ──► hot buffer, grow … ──► close
 */
export class HiSparse {
  readonly pool: PagePool;
  readonly #sizes: HiSparseSizes;
  readonly #transfers: PageTransfers;
  readonly #running = new Set<Copy>();
  /** Of all swap-ins so far. */
  readonly swapIn = { hits: 0, misses: 0, bytes: 0 };

  constructor(sizes: HiSparseSizes, transfers: PageTransfers) {
    this.#sizes = sizes;
    this.#transfers = transfers;
    this.pool = new PagePool(sizes.totalPages);
  }

  /** Pages that the prefill of so many tokens takes. */
  pagesOfPrefill(numTokens: number): number {
    return Math.ceil(numTokens / this.#sizes.pageSize);
  }

  /** Pages of the hot buffer of a sequence of so many tokens. */
  pagesOfBuffer(numTokens: number): number {
    const { bufferSize, pageSize } = this.#sizes;
    return Math.ceil(Math.min(numTokens, bufferSize + 1) / pageSize);
  }

  /**
   * Takes the pages for the prefill of a sequence and begins to load what the prefix cache has of it.
   * Undefined, and nothing changed, when there are not enough free pages.
   */
  open(table: BlockTable, numTokens: number): DevicePages | undefined {
    const pages = this.#allocate(this.pagesOfPrefill(numTokens));
    if (pages === undefined) return undefined;
    const device = new DevicePages(pages);
    const numCached = this.pagesOfPrefill(table.numCachedTokens);
    if (numCached > 0) device.copy = this.#copy('load', pairsOf(device, table, 0, numCached));
    return device;
  }

  /** Begins to copy to the host what the prefill of the first `numTokens` tokens has computed. */
  stage(device: DevicePages, table: BlockTable, numTokens: number): void {
    const first = this.pagesOfPrefill(table.numCachedTokens);
    const pairs = pairsOf(device, table, first, this.pagesOfPrefill(numTokens));
    device.copy = this.#copy('store', pairs);
  }

  /** The copy of a stage is done: keeps the first tokens as the hot buffer, and frees the rest. */
  keepBuffer(device: DevicePages, numTokens: number): void {
    const numKept = this.pagesOfBuffer(numTokens);
    const surplus = device.pages.slice(numKept);
    device.pages = device.pages.slice(0, numKept);
    device.copy = undefined;
    this.#release(surplus);
  }

  /** Makes the hot buffer of a sequence large enough. False, and nothing changed, when pages are missing. */
  grow(device: DevicePages, numTokens: number): boolean {
    const more = this.#allocate(this.pagesOfBuffer(numTokens) - device.pages.length);
    if (more === undefined) return false;
    device.pages.push(...more);
    return true;
  }

  /** Gives the pages back. No step and no copy may use them any more. */
  close(device: DevicePages): void {
    this.#release(device.pages);
  }

  /** @throws KvCacheError if device pages are lost, or belong to two of the requests that have some. */
  checkIntegrity(held: readonly DevicePages[]): void {
    const { pool } = this;
    pool.checkIntegrity();
    const pages = held.flatMap((device) => device.pages);
    const isWhole = new Set(pages).size === pages.length;
    if (isWhole && pages.length + pool.numFree === pool.numPages) return;
    throw new KvCacheError({
      subject: "HiSparse's device pages",
      expected: `${pool.numPages - pool.numFree} pages, each of one request`,
      actual: `${pages.length}, of which ${new Set(pages).size} differ`,
      remedy: 'This is a defect of the engine: please report it.',
    });
  }

  /** Adds what a step reports. */
  observe(swapIn: SwapInTotals | undefined): void {
    this.swapIn.hits += swapIn?.hits ?? 0;
    this.swapIn.misses += swapIn?.misses ?? 0;
    this.swapIn.bytes += swapIn?.bytes ?? 0;
  }

  /** Waits until one of the copies that run has ended; not at all when there is none. */
  async nextCopy(): Promise<void> {
    if (this.#running.size === 0) return;
    await Promise.race([...this.#running].map(({ settled }) => settled));
  }

  #copy(kind: Copy['kind'], pages: readonly PagePair[]): Copy {
    const begin = async () => this.#transfers[kind](pages);
    const settled = begin()
      .then(
        () => 'done' as const,
        (cause: unknown) => copyError(kind, cause),
      )
      .then((outcome) => {
        copy.outcome = outcome;
        this.#running.delete(copy);
      });
    const copy: Copy = { kind, outcome: undefined, settled };
    this.#running.add(copy);
    return copy;
  }

  #allocate(count: number): number[] | undefined {
    if (count > this.pool.numFree) return undefined;
    const pages: number[] = [];
    for (let i = 0; i < count; i++) {
      const page = this.pool.allocate();
      if (page !== undefined) pages.push(page);
    }
    return pages;
  }

  #release(pages: readonly number[]): void {
    for (const page of pages) this.pool.release(page);
    if (pages.length > 0) this.#transfers.released?.(pages);
  }
}

function pairsOf(
  { pages }: DevicePages,
  table: BlockTable,
  first: number,
  end: number,
): PagePair[] {
  return pages.slice(first, end).map((devicePage, i) => {
    return { devicePage, hostPage: table.pages[first + i] ?? 0 };
  });
}

function copyError(kind: Copy['kind'], cause: unknown): RunnerError {
  if (cause instanceof RunnerError) return cause;
  const problem = {
    subject: kind === 'store' ? 'a copy of K/V to the host' : 'a copy of K/V to the device',
    expected: 'to succeed',
    actual: cause instanceof Error ? cause.message : String(cause),
    remedy: 'See the cause; the request can be sent again.',
  };
  return new RunnerError(problem, { fatal: false, cause });
}
