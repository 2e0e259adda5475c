/** What the decode loop does, in numbers: plain data that the page shares with the engine. */

import type { Comparison } from 'flash-mla/cases';

/** `bf16` attends to every token; the packed FP8 rows to the `topk` that an indexer would pick. */
export type LoopLayout = 'bf16' | 'v32' | 'model1';

export interface LoopSettings {
  readonly layout: LoopLayout;
  /** Requests. */
  readonly batch: number;
  /** Query heads, all of which share one row of the cache. */
  readonly heads: number;
  /** Tokens of the longest prompt. */
  readonly tokens: number;
  /** 0: all prompts are equally long. 1: they are spread evenly down to (nearly) none. */
  readonly spread: number;
  /** Packed rows: tokens that a step attends to. */
  readonly topk: number;
  /** Tokens of a page. */
  readonly page: number;
}

/** Where a request's newest token lies. */
export interface NewestPage {
  readonly block: number;
  readonly tokens: number;
}

/** How fast a step is. */
export interface Timing {
  /** Tokens decoded per second of wall time: one per request and step, through one layer. */
  readonly tokensPerSecond: number;
  /** Median wall time of a step: writing rows and lengths, the kernels, waiting for them. */
  readonly stepMs: number;
  /** Time of the attention alone; on the device's own clock where `isDeviceTime`. */
  readonly kernelMs: number;
  readonly isDeviceTime: boolean;
}

/** What the loop has to say every tenth of a second. */
export interface LoopSample extends Timing {
  readonly steps: number;
  /** Of one step. */
  readonly flops: number;
  readonly bytes: number;
  readonly lengths: readonly number[];
  readonly finished: number;
  /** Owner of each page, −1: free; empty where there are too many to draw. */
  readonly owners: Int16Array;
  readonly newest: readonly NewestPage[];
  /** Tokens of a page. */
  readonly page: number;
  /** The first step against the float64 reference. */
  readonly check: LoopCheck;
}

export interface LoopCheck {
  readonly request: number;
  readonly heads: readonly number[];
  readonly comparison: Comparison;
}

export const headDimV = 512;

/** Columns of a row and of a query. */
export const headDimQk = { bf16: 576, v32: 576, model1: 512 } as const;

/** Bytes of a token in the cache. */
export const rowBytes = { bf16: 1152, v32: 656, model1: 584 } as const;

/** Tokens that a step attends to in a request of some length. */
export function attended({ layout, topk }: LoopSettings, length: number): number {
  return layout === 'bf16' ? length : Math.min(topk, length);
}

/** Operations and bytes of a step, counted as FlashMLA counts them. */
export function workOf(
  settings: LoopSettings,
  lengths: readonly number[],
): { flops: number; bytes: number } {
  const { layout, batch, heads } = settings;
  const tokens = lengths.reduce((sum, length) => sum + attended(settings, length), 0);
  const columns = headDimQk[layout] + headDimV;
  return {
    flops: 2 * heads * tokens * columns,
    bytes: tokens * rowBytes[layout] + 2 * batch * heads * columns,
  };
}

/** Tokens of each prompt, longest first. */
export function promptLengths({ batch, tokens, spread }: LoopSettings): number[] {
  return Array.from({ length: batch }, (_, i) =>
    Math.max(1, Math.round(tokens * (1 - (spread * i) / batch))),
  );
}

/** Tokens that request `i` decodes before it ends and another takes its place. */
export function newTokens(i: number): number {
  return 48 + ((i * 37) % 80);
}

/** Pages that all requests need at their longest, and the most that one does. */
export function pagesOf(settings: LoopSettings): { blocks: number; maxBlocks: number } {
  const each = promptLengths(settings).map((n, i) => Math.ceil((n + newTokens(i)) / settings.page));
  return { blocks: each.reduce((sum, n) => sum + n, 0), maxBlocks: Math.max(...each) };
}

/** Bytes of the cache. */
export function cacheBytes(settings: LoopSettings): number {
  return pagesOf(settings).blocks * settings.page * rowBytes[settings.layout];
}
