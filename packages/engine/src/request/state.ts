import type { EngineError } from '../errors.ts';
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

/** Has pages for the whole prompt and a row of the batch; some of the prompt is in no step yet. */
export interface Prefilling {
  readonly kind: 'prefill';
  readonly table: BlockTable;
  readonly slot: number;
}

/** The whole prompt is in steps, done or in flight: takes part in every step with one token. */
export interface Decoding {
  readonly kind: 'decode';
  readonly table: BlockTable;
  readonly slot: number;
}

export interface Finished {
  readonly kind: 'finished';
  readonly outcome: Outcome;
}

export type RequestState = Waiting | Prefilling | Decoding | Finished;
export type RunningState = Prefilling | Decoding;

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
