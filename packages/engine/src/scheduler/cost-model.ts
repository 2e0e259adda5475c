import type { BatchPlan } from '../runner/model-runner.ts';

/** Weight of the newest measurement. */
const alpha = 0.3;
/** Tokens in the first chunk, when nothing is known. */
const firstChunk = 512;
/** Prefill gets at least this share of a measured step, whatever its decodes should have taken. */
const leastShare = 0.1;

/** Averages that forget, in buckets that double in width; an empty bucket asks its neighbours. */
class Buckets {
  readonly #means: (number | undefined)[] = [];
  readonly #width: number;

  constructor(width: number) {
    this.#width = width;
  }

  add(at: number, value: number): void {
    const bucket = this.#bucketOf(at);
    const mean = this.#means[bucket];
    this.#means[bucket] = mean === undefined ? value : mean + alpha * (value - mean);
  }

  get(at: number): number | undefined {
    const bucket = this.#bucketOf(at);
    for (let distance = 0; distance < this.#means.length + bucket; distance++) {
      const mean = this.#means[bucket - distance] ?? this.#means[bucket + distance];
      if (mean !== undefined) return mean;
    }
    return undefined;
  }

  #bucketOf(at: number): number {
    return Math.ceil(Math.log2(1 + at / this.#width));
  }
}

/**
 * What steps take, learned from those that were measured: decoding by the rows of the batch, prefill as
 * milliseconds a token by how long the sequence is already.
 */
export class CostModel {
  readonly #decodeMs = new Buckets(1);
  readonly #prefillMsPerToken = new Buckets(4096);

  /** Expected duration of a step of so many decodes; 0 when nothing was measured. */
  decodeMs(numDecodes: number): number {
    return numDecodes === 0 ? 0 : (this.#decodeMs.get(numDecodes) ?? 0);
  }

  /** How many tokens of a prompt fit into a step that should take `targetMs`, beside its decodes. */
  prefillTokens(targetMs: number, numDecodes: number, contextLength: number): number {
    const perToken = this.#prefillMsPerToken.get(contextLength);
    if (perToken === undefined) return firstChunk;
    return Math.max(0, targetMs - this.decodeMs(numDecodes)) / perToken;
  }

  /** Learns from a step. Durations that are no positive number teach nothing. */
  observe({ decodes, prefills }: BatchPlan, durationMs: number): void {
    if (!(durationMs > 0) || durationMs === Number.POSITIVE_INFINITY) return;
    if (prefills.length === 0) {
      this.#decodeMs.add(decodes.length, durationMs);
      return;
    }
    const tokens = prefills.reduce((sum, chunk) => sum + chunk.tokens.length, 0);
    const rest = durationMs - this.decodeMs(decodes.length);
    const perToken = Math.max(rest, leastShare * durationMs) / tokens;
    for (const chunk of prefills) this.#prefillMsPerToken.add(chunk.start, perToken);
  }
}
