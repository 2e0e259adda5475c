import { field, type SharedAccess, sharedLayout } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';

/** Query rows of a consumer, what a warp group's multiplication takes, and of a CTA. */
export const consumerRows = 64;
export const consumers = 2;
export const tileRows = consumers * consumerRows;
/** Columns of a swizzled tile: 128 bytes. */
export const tileColumns = 64;
/** Depth of a multiplication. */
export const stepDepth = 16;
/** K/V blocks on their way or in use. */
export const stages = 2;

export const warpGroupThreads = 128;
export const ctaThreads = (consumers + 1) * warpGroupThreads;
export const consumerWarps = consumers * 4;
/** Registers of a thread after roles are known; they start with 168. */
export const producerRegisters = 24;
export const consumerRegisters = 240;

/** Hardware barriers; 0 is the CTA's. Consumer n waits for its turn at barrier 1 + n. */
export const turnBarrier = 1;

/** How one CTA cuts attention with keys and values of their own: plain data. */
export interface HopperMhaTile {
  readonly element: Element;
  /** Multiples of 64. */
  readonly headDimQk: number;
  readonly headDimV: number;
  /** Keys of a block, a multiple of 16. */
  readonly tokens: number;
  /** Query heads in the rows of a tile, query by query: a power of two that divides a group of heads. */
  readonly heads: number;
}

/** What the code of the kernel depends on. */
export interface HopperMhaConfig {
  readonly tile: HopperMhaTile;
  /** Whether requests have queries of different lengths. */
  readonly hasCuSeqlensQ: boolean;
  /** `packed`: one request after another; `blocks`: one block each; `paged`: by a block table. */
  readonly keys: 'packed' | 'blocks' | 'paged';
  /** 0 unless paged; else one of block and page is a multiple of the other. */
  readonly pageSize: number;
}

/** Tokens that one tensor copy brings. */
export const boxTokens = ({ tile, keys, pageSize }: HopperMhaConfig): number =>
  keys === 'paged' ? Math.min(pageSize, tile.tokens) : tile.tokens;

/** Words that tell a CTA's warps of a tile, see `work.ts`. */
export const workWords = 8;

/** Shared memory of a CTA. */
export const hopperMhaLayout = ({ element, headDimQk, headDimV, tokens }: HopperMhaTile) =>
  sharedLayout({
    query: field(element, [tileRows, headDimQk], { swizzle: '128B', arrangement: 'tiles' }),
    keys: field(element, [stages, tokens, headDimQk], { swizzle: '128B', arrangement: 'tiles' }),
    values: field(element, [stages, tokens, headDimV], { swizzle: '128B', arrangement: 'tiles' }),
    work: field('u32', [workWords]),
    /** Of each key block: a bit for every page that the cache does not have. */
    missing: field('u32', [stages]),
    workFull: field('b64', [1]),
    workEmpty: field('b64', [1]),
    keysFull: field('b64', [stages]),
    keysEmpty: field('b64', [stages]),
    valuesFull: field('b64', [stages]),
    valuesEmpty: field('b64', [stages]),
    /** Values of a request's last block, before what lies beyond its end is cleared. */
    valuesRaw: field('b64', [1]),
  });

export type HopperMhaShared = SharedAccess<ReturnType<typeof hopperMhaLayout>['decls']>;
