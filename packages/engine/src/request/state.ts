import type { EngineError } from '../errors.ts';
import type { DevicePages } from '../hisparse/device-pages.ts';
import type { BlockTable } from '../kv-cache/kv-cache.ts';

/** How a request ended. */
export type Outcome =
  /** A stop token, or the caller found what it was waiting for (`Engine.finish`). */
  | { readonly reason: 'stop' }
  /** `maxTokens`, the model's context or the whole KV cache is used up. */
  | { readonly reason: 'length' }
  | { readonly reason: 'cancelled' }
  | { readonly reason: 'deadline' }
  | { readonly reason: 'error'; readonly error: EngineError };

/** In the queue, without pages. */
export interface Waiting {
  readonly kind: 'waiting';
  readonly after: 'arrival' | 'preemption';
}

/** What a request has while it runs. */
export interface Holdings {
  readonly table: BlockTable;
  /** Its row of the batch. */
  readonly slot: number;
  /** With HiSparse, whose tables are pages of the host. */
  readonly device: DevicePages | undefined;
}

/** Has pages for the whole prompt; some of the prompt is in no step yet. */
export interface Prefilling extends Holdings {
  readonly kind: 'prefill';
}

/** With HiSparse: the whole prompt is in steps, and its K/V not yet on the host. Belongs to no batch. */
export interface Staging extends Holdings {
  readonly kind: 'staging';
}

/** The whole prompt is in steps, done or in flight: takes part in every step with one token. */
export interface Decoding extends Holdings {
  readonly kind: 'decode';
}

export interface Finished {
  readonly kind: 'finished';
  readonly outcome: Outcome;
}

export type RunningState = Prefilling | Staging | Decoding;
export type RequestState = Waiting | RunningState | Finished;

/** Times are on the engine's clock, in milliseconds; undefined means that it did not come to that. */
export interface RequestStats {
  readonly arrivedAt: number;
  /** First taken into a batch. */
  readonly startedAt: number | undefined;
  readonly firstTokenAt: number | undefined;
  readonly lastTokenAt: number | undefined;
  readonly finishedAt: number | undefined;
  readonly promptTokens: number;
  /** Tokens of the prompt that the prefix cache had when the request first started. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly preemptions: number;
  /** Tokens computed again because of preemptions. */
  readonly recomputedTokens: number;
  /** Sampled and dropped: the request had ended or was preempted while the step ran. */
  readonly wastedTokens: number;
  /** The longest time between two tokens. */
  readonly maxTokenGapMs: number;
}
