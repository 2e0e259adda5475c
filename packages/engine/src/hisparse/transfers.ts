/** The same tokens on the device and on the host. */
export interface PagePair {
  readonly devicePage: number;
  readonly hostPage: number;
}

/**
 * Copies pages of K/V, all layers, beside the steps. A runner has one when it can serve HiSparse.
 *
 * What a copy reads was written by steps that have answered, or by copies that have ended. The engine does
 * not touch its pages before the promise has settled. A promise that is rejected ends the request that the
 * copy was for.
 */
export interface PageTransfers {
  /** From the device to the host. */
  store(pages: readonly PagePair[]): Promise<void>;
  /** From the host to the device. */
  load(pages: readonly PagePair[]): Promise<void>;
  /** Nobody uses these device pages any more: what wants to find stale reads can poison them. */
  released?(devicePages: readonly number[]): void;
}
