import { expect } from 'vitest';
import { RequestTooLongError } from '../errors.ts';
import type { EngineOptions } from '../options.ts';
import type { RequestOptions } from '../request/options.ts';
import type { Random } from './random.ts';
import { SimulatedLoad } from './simulated-load.ts';
import { type RunnerFaults, sampleAfter, vocabularySize } from './simulated-runner.ts';

const pageSize = 8;
/** Too few pages for all, so that preemption is nothing rare; some prompts can never fit. */
export const randomOptions: EngineOptions = {
  totalPages: 48,
  pageSize,
  maxModelLength: 380,
  maxRunning: 12,
  maxBatchTokens: 256,
  targetStepMs: 10,
  maxQueuedRequests: 1_000_000,
  outputReserve: 0.05,
  agingMs: 2000,
  deterministicChunk: 32,
  maxFailures: Number.MAX_SAFE_INTEGER,
};

interface Asked {
  readonly request: RequestOptions;
  isCancelled: boolean;
  readonly stopped: Set<number>;
}

/** Sends random requests, ends some of them at random times, and checks every answer. */
export class RandomRequests {
  readonly load: SimulatedLoad;
  readonly #random: Random;
  readonly #asked = new Map<string, Asked>();
  readonly #prefixes: number[][];
  readonly #faults: RunnerFaults;
  numRefused = 0;

  constructor(options: Partial<EngineOptions>, seed: number, faults: RunnerFaults) {
    this.#faults = faults;
    this.load = new SimulatedLoad({ ...randomOptions, ...options }, seed, faults);
    this.#random = this.load.random;
    this.#prefixes = Array.from({ length: 6 }, () => this.#tokens(this.#random.integer(8, 56)));
  }

  async run(numRequests: number): Promise<void> {
    let arrival = 0;
    for (let i = 0; i < numRequests; i++) {
      // Bursts, and pauses in which the engine runs dry.
      arrival += this.#random.chance(0.02) ? 10_000 : this.#random.integer(0, 40);
      this.load.time.at(arrival, () => this.#submit(`r${i}`));
    }
    await this.load.run();
    expect(this.#asked.size + this.numRefused).toBe(numRequests);
    for (const asked of this.#asked.values()) this.#check(asked);
  }

  #submit(id: string): void {
    const random = this.#random;
    const tail = this.#tokens(random.chance(0.05) ? 390 : random.integer(1, 30));
    const request: RequestOptions = {
      id,
      prompt: random.chance(0.7) ? [...random.pick(this.#prefixes), ...tail] : tail,
      maxTokens: random.chance(0.05) ? 400 : random.integer(1, 90),
      stopTokens: random.chance(0.5) ? [random.integer(0, vocabularySize - 1)] : [],
      minTokens: random.chance(0.2) ? random.integer(0, 10) : 0,
      n: random.chance(0.15) ? random.integer(2, 4) : 1,
      priority: random.chance(0.2) ? random.integer(-12, 12) : 0,
      tenant: random.pick(['a', 'b', 'c']),
      sampling: { temperature: 1, seed: random.integer(0, 3) },
      ...(random.chance(0.2) ? { cacheSalt: random.pick(['x', 'y']) } : {}),
      ...(random.chance(0.15) ? { timeoutMs: random.integer(1, 1500) } : {}),
    };
    try {
      this.load.submit(request);
    } catch (error) {
      expect(error).toBeInstanceOf(RequestTooLongError);
      this.numRefused++;
      return;
    }
    const asked: Asked = { request, isCancelled: false, stopped: new Set() };
    this.#asked.set(id, asked);
    if (random.chance(0.15)) {
      this.load.time.after(random.pick([0, 1, 30, 300, 2000]), () => {
        asked.isCancelled = true;
        this.load.engine.cancel(id);
      });
    }
    if (random.chance(0.1)) {
      this.load.time.after(random.integer(0, 800), () => {
        const index = random.integer(0, (request.n ?? 1) - 1);
        asked.stopped.add(index);
        this.load.engine.finish(id, index);
      });
    }
  }

  #check({ request, isCancelled, stopped }: Asked): void {
    const { id, prompt, n = 1, maxTokens = 0, minTokens = 0, sampling, timeoutMs } = request;
    for (let index = 0; index < n; index++) {
      const { tokens, outcomes } = this.load.of(id, index);
      expect(outcomes).toHaveLength(1);
      const sequence = Array.from(prompt);
      for (const token of tokens) {
        const expected = sampleAfter(sequence, (sampling?.seed ?? 0) + index);
        if (token !== expected) expect(token, `${id}.${index}`).toBe(expected);
        sequence.push(token);
      }
      const stops = new Set(request.stopTokens);
      const ends = tokens.map((token, i) => i + 1 >= minTokens && stops.has(token));
      // A stop token is the last one, and nothing goes beyond the limits.
      expect(ends.indexOf(true)).toBe(ends.at(-1) ? tokens.length - 1 : -1);
      expect(tokens.length).toBeLessThanOrEqual(maxTokens);
      const reason = outcomes[0]?.reason;
      if (reason === 'stop') expect(stopped.has(index) || ends.at(-1)).toBe(true);
      if (reason === 'length') this.#checkLength(sequence.length, tokens.length === maxTokens);
      if (reason === 'cancelled') expect(isCancelled).toBe(true);
      if (reason === 'deadline') expect(timeoutMs).toBeDefined();
      if (reason === 'error') expect(this.#faults.failure).toBeGreaterThan(0);
    }
  }

  /** Ended by its limit, by the model's, or because it alone filled the whole cache. */
  #checkLength(length: number, isLimit: boolean): void {
    const { maxModelLength, totalPages } = this.load.engine.options;
    const capacity = (totalPages - 1) * pageSize;
    if (!isLimit && length < maxModelLength) expect(length).toBeGreaterThan(capacity - 1);
  }

  #tokens(length: number): number[] {
    return Array.from({ length }, () => this.#random.integer(0, vocabularySize - 1));
  }
}
