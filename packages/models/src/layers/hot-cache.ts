import type { Decode, HiSparseOptions, PageTransfers, SwapInTotals } from '@flash-mla/engine';

/** Sizes of a {@link HotCache}. */
export interface HotCacheShape {
  readonly hisparse: HiSparseOptions;
  /** Rows of a batch. */
  readonly maxRunning: number;
  /** Tokens of the longest sequence. */
  readonly maxModelLength: number;
  /** Pages, the reserved page 0 included. */
  readonly numDevicePages: number;
  readonly numHostPages: number;
}

/**
 * HiSparse on a device: all K/V in memory of the host, and a hot buffer for each sequence that is decoded. The
 * operations of the device look after it once it is made; a runner tells it what each step decodes.
 */
export interface HotCache extends Disposable {
  readonly transfers: PageTransfers;
  /** A row of the batch gets another request. */
  start(slot: number): void;
  /** Before the calls of a step are made. */
  begin(decodes: readonly Decode[]): void;
  /** When the step has been computed. */
  end(): Promise<SwapInTotals>;
}
