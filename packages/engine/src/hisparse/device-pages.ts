import type { RunnerError } from '../errors.ts';

/** A copy of a request's pages, between device and host. */
export interface Copy {
  readonly kind: 'store' | 'load';
  /** Set when the copy has ended. */
  outcome: 'done' | RunnerError | undefined;
  /** Never rejected. */
  readonly settled: Promise<void>;
}

/**
 * The pages of one request on the device. During the prefill, page i holds the positions from i · pageSize
 * on. While it decodes they are its hot buffer: page i holds the slots from i · pageSize on.
 */
export class DevicePages {
  /** Steps in flight may read this array: it is replaced when it shrinks, and only ever grows. */
  pages: number[];
  /** The copy that runs or has ended and was not taken notice of. */
  copy: Copy | undefined;

  constructor(pages: number[]) {
    this.pages = pages;
  }

  get isCopying(): boolean {
    return this.copy !== undefined && this.copy.outcome === undefined;
  }
}
