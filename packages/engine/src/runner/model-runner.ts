/** How a token is drawn. The engine hands it to the runner as it is. */
export interface SamplingParams {
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  /** Only so many of the likeliest tokens; 0 means all. */
  readonly topK?: number;
  /** Only the likeliest tokens whose probabilities add up to this. */
  readonly topP?: number;
  /** Only tokens at least this likely, relative to the likeliest one. */
  readonly minP?: number;
  /** What is drawn depends on the seed and the position alone. Choice i of a request gets seed + i. */
  readonly seed?: number;
}

/** A row of the batch begins to serve a request: what stays the same until the row gets another one. */
export interface SlotStart {
  readonly slot: number;
  readonly epoch: number;
  readonly id: string;
  /** Which of the request's choices. */
  readonly index: number;
  readonly sampling: SamplingParams;
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
}

/** Some tokens of a prompt: positions `start` to `start + tokens.length − 1`. */
export interface PrefillChunk {
  readonly slot: number;
  readonly epoch: number;
  /** A multiple of the page size. */
  readonly start: number;
  readonly tokens: readonly number[];
  readonly pages: readonly number[];
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
  readonly prefills: readonly PrefillChunk[];
}

export interface StepOutput {
  /** One token for each decode, then one for each chunk that samples, in the plan's order. */
  readonly tokens: ArrayLike<number>;
  /** How long the device worked on the step, in milliseconds; the engine learns from it. */
  readonly durationMs: number;
}

/**
 * Runs the model. With overlap the engine hands in step n + 1 before step n has answered, and never a
 * third one; steps must take effect in the order in which they came. A promise that is rejected ends the
 * requests of its step.
 */
export interface ModelRunner {
  run(plan: BatchPlan): Promise<StepOutput>;
}
