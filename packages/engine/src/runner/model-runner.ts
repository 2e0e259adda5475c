import type { PageTransfers } from '../hisparse/transfers.ts';
import type { TokenLogprobs } from './logprobs.ts';
import type { SamplingParams } from './sampling-params.ts';
import type { StepMasks } from './token-mask.ts';

/** A row of the batch begins to serve a request: what stays the same until the row gets another one. */
export interface SlotStart {
  readonly slot: number;
  readonly epoch: number;
  readonly id: string;
  /** Which of the request's choices. */
  readonly index: number;
  readonly sampling: SamplingParams;
  /** The whole sequence so far: penalties count its tokens, also those that the prefix cache had. */
  readonly tokens: readonly number[];
  /** Leading tokens of `tokens` that are the prompt; the others were generated before a preemption. */
  readonly promptLength: number;
  /** Tokens that must not be sampled at positions below `before`: stop tokens, while it is too early. */
  readonly suppressed?: { readonly tokens: readonly number[]; readonly before: number };
}

/** One token of a sequence that generates: read its K/V through the pages, write its own, sample. */
export interface Decode {
  readonly slot: number;
  /** Counts how often the request was started anew: what an older epoch sampled is dropped. */
  readonly epoch: number;
  /** The token's place in the sequence: positions below it are in the cache. */
  readonly position: number;
  /** The token; null when it is the one that the step before samples in this slot. */
  readonly token: number | null;
  /** Page i holds positions i · pageSize and up. Behind the page of `position` they are not this step's. */
  readonly pages: readonly number[];
  /**
   * With HiSparse, whose `pages` are the host's: those of the hot buffer on the device. Page i holds slots
   * i · pageSize and up. The token's K/V goes into slot min(position, H), and to its place in `pages`
   * before a later step reads it and before this one answers.
   */
  readonly devicePages?: readonly number[];
}

/** Some tokens of a prompt: positions `start` to `start + tokens.length − 1`. */
export interface PrefillChunk {
  readonly slot: number;
  readonly epoch: number;
  /** A multiple of the page size. */
  readonly start: number;
  readonly tokens: readonly number[];
  readonly pages: readonly number[];
  /** With HiSparse, pages of the device for the whole prompt: all K/V is read and written there. */
  readonly devicePages?: readonly number[];
  /** The chunk ends the prompt: sample the token after it. */
  readonly samples: boolean;
}

/** What the device does in one step. */
export interface BatchPlan {
  /** Counts from 1. */
  readonly step: number;
  /** A sequence's results must not depend on what else is in the plan. */
  readonly deterministic: boolean;
  /** Slots that serve another request, or the same one anew, from this step on. */
  readonly starts: readonly SlotStart[];
  readonly decodes: readonly Decode[];
  /**
   * Rows to run the decodes with, a size for which a runner may have captured a graph: the rows behind
   * `decodes` pad the batch, write to page 0, and nobody reads what they give. 0 without decodes.
   */
  readonly numDecodeRows: number;
  readonly prefills: readonly PrefillChunk[];
  /**
   * Which tokens may be sampled, where something restricts that. It resolves once the engine has taken in
   * the step before: a runner begins with the step and waits only before it samples.
   */
  readonly masks?: Promise<StepMasks>;
}

export interface StepOutput {
  /** One token for each decode, then one for each chunk that samples, in the plan's order. */
  readonly tokens: ArrayLike<number>;
  /** In the same order; needed for rows whose `sampling.logprobs` is set. */
  readonly logprobs?: readonly (TokenLogprobs | undefined)[];
  /** How long the device worked on the step, in milliseconds; the engine learns from it. */
  readonly durationMs: number;
  /** With HiSparse, over all layers. */
  readonly swapIn?: SwapInTotals;
}

/** How often what queries attend to was in the hot buffers. */
export interface SwapInTotals {
  readonly hits: number;
  readonly misses: number;
  /** Copied from the host. */
  readonly bytes: number;
}

/**
 * Runs the model. With overlap the engine hands in step n + 1 before step n has answered, and never a
 * third one; steps must take effect in the order in which they came. A promise that is rejected ends the
 * requests of its step.
 */
export interface ModelRunner {
  /** Copies K/V between the host and the device. Only with it can the engine use HiSparse. */
  readonly transfers?: PageTransfers;
  run(plan: BatchPlan): Promise<StepOutput>;
}
