import { describe, expect, it } from 'vitest';
import { Engine } from './engine.ts';
import { ConstraintError } from './errors.ts';
import type { EngineOptions } from './options.ts';
import type { BatchPlan, ModelRunner, StepOutput } from './runner/model-runner.ts';
import type { TokenConstraint } from './runner/token-mask.ts';
import { Sampler } from './sampling/sampler.ts';
import type { EngineEvent } from './scheduler/lifecycle.ts';

const options: EngineOptions = { totalPages: 20, pageSize: 4, maxModelLength: 64, maxRunning: 4 };
const vocabulary = 40;

/** A model that likes token 7 best: what else comes out is what somebody has asked for. */
class FlatRunner implements ModelRunner {
  readonly plans: BatchPlan[] = [];
  readonly #rows = new Map<number, Sampler>();
  #before: Promise<unknown> = Promise.resolve();

  run(plan: BatchPlan): Promise<StepOutput> {
    this.plans.push(plan);
    // As on a device, a step begins when the one before has ended.
    const answer = this.#before.then(() => this.#step(plan));
    this.#before = answer;
    return answer;
  }

  async #step({ starts, decodes, prefills, masks }: BatchPlan): Promise<StepOutput> {
    for (const start of starts) this.#rows.set(start.slot, new Sampler(start));
    const logits = Array.from({ length: vocabulary }, (_, i) => (i === 7 ? 3 : i / vocabulary));
    const allowed = await masks;
    const sampled = [
      ...decodes.map(({ slot, position }) => ({ slot, position: position + 1 })),
      ...prefills
        .filter(({ samples }) => samples)
        .map(({ slot, start, tokens }) => ({ slot, position: start + tokens.length })),
    ].map(({ slot, position }) =>
      this.#rows.get(slot)?.sample(logits, position, allowed?.get(slot)),
    );
    return {
      tokens: sampled.map((sample) => sample?.token ?? -1),
      logprobs: sampled.map((sample) => sample?.logprobs),
      durationMs: 1,
    };
  }
}

/** Allows after token t only t + 1; asked asynchronously, as a grammar in a worker is. */
class Successor implements TokenConstraint {
  #last: number;
  numClosed = 0;
  constructor(first: number) {
    this.#last = first - 1;
  }
  async mask() {
    await new Promise((resolve) => setTimeout(resolve, 1));
    const mask = new Int32Array(2);
    mask[(this.#last + 1) >> 5] = 1 << ((this.#last + 1) & 31);
    return mask;
  }
  accept(token: number) {
    if (token !== this.#last + 1) throw new Error(`${token} after ${this.#last}`);
    this.#last = token;
  }
  close() {
    this.numClosed++;
  }
}

async function events(engine: Engine): Promise<EngineEvent[]> {
  const all: EngineEvent[] = [];
  while (engine.hasWork) all.push(...(await engine.step()));
  return all;
}
const tokensOf = (all: readonly EngineEvent[], id: string) =>
  all.flatMap((event) => (event.kind === 'token' && event.id === id ? [event.token] : []));

describe.each([true, false])('constraints, overlap %s', (overlap) => {
  it('hold every token, beside requests without one', async () => {
    const engine = new Engine(new FlatRunner(), { ...options, overlap });
    const made: Successor[] = [];
    const constraint = (index: number) => {
      const it = new Successor(10 * (index + 1));
      made.push(it);
      return it;
    };
    engine.submit({ id: 'a', prompt: [1], maxTokens: 6, n: 2, constraint });
    engine.submit({ id: 'b', prompt: [1, 2, 3, 4, 5], maxTokens: 4 });
    const all = await events(engine);
    const choice = (index: number) =>
      tokensOf(
        all.filter((event) => event.index === index),
        'a',
      );
    expect(choice(0)).toEqual([10, 11, 12, 13, 14, 15]);
    expect(choice(1)).toEqual([20, 21, 22, 23, 24, 25]);
    expect(tokensOf(all, 'b')).toEqual([7, 7, 7, 7]);
    expect(made.map(({ numClosed }) => numClosed)).toEqual([1, 1]);
  });

  it('end their request alone when they fail', async () => {
    const engine = new Engine(new FlatRunner(), { ...options, overlap });
    const broken: TokenConstraint = {
      mask: () => Promise.reject(new Error('the worker is gone')),
      accept: () => {},
    };
    engine.submit({ id: 'a', prompt: [1], maxTokens: 6, constraint: () => broken });
    const strict: TokenConstraint = {
      mask: () => undefined,
      accept: () => {
        throw new Error('never');
      },
    };
    engine.submit({ id: 'b', prompt: [1], maxTokens: 6, constraint: () => strict });
    engine.submit({ id: 'c', prompt: [1], maxTokens: 3 });
    const all = await events(engine);
    for (const [id, message] of [
      ['a', /worker is gone/],
      ['b', /never/],
    ] as const) {
      const end = all.find((event) => event.id === id && event.kind === 'finished');
      const outcome = end?.kind === 'finished' ? end.outcome : undefined;
      const error = outcome?.reason === 'error' ? outcome.error : undefined;
      expect(error).toBeInstanceOf(ConstraintError);
      expect(error?.message).toMatch(message);
      expect(tokensOf(all, id)).toEqual([]);
    }
    expect(tokensOf(all, 'c')).toEqual([7, 7, 7]);
    engine.checkIntegrity();
  });

  it('survive preemption', async () => {
    const engine = new Engine(new FlatRunner(), {
      ...options,
      totalPages: 9,
      outputReserve: 0,
      overlap,
    });
    for (const id of ['a', 'b', 'c'])
      engine.submit({ id, prompt: [1, 2, 3], maxTokens: 20, constraint: () => new Successor(8) });
    const all = await events(engine);
    for (const id of ['a', 'b', 'c'])
      expect(tokensOf(all, id)).toEqual(Array.from({ length: 20 }, (_, i) => 8 + i));
    expect(engine.stats.preemptions).toBeGreaterThan(0);
  });
});

describe('what a plan tells the runner', () => {
  it('pads decodes, and gives the sequence and the tokens that are too early', async () => {
    const runner = new FlatRunner();
    const engine = new Engine(runner, { ...options, maxRunning: 4, decodeBatchSizes: [1, 4] });
    for (const id of ['a', 'b', 'c'])
      engine.submit({ id, prompt: [1, 2], maxTokens: 5, minTokens: 2, stopTokens: [7] });
    const all = await events(engine);
    // The two likeliest others come first: the stop token is suppressed.
    expect(tokensOf(all, 'a')).toEqual([39, 39, 7]);
    const sizes = runner.plans.map(({ decodes, numDecodeRows }) => [decodes.length, numDecodeRows]);
    for (const [size, rows] of sizes) expect(rows).toBe([0, 1, 4, 4, 4][size ?? 0]);
    const start = runner.plans[0]?.starts[0];
    expect(start).toMatchObject({
      tokens: [1, 2],
      promptLength: 2,
      suppressed: { tokens: [7], before: 4 },
    });
  });

  it('reports log-probabilities, and refuses an answer without them', async () => {
    const sampling = { temperature: 0, logprobs: 1 };
    const engine = new Engine(new FlatRunner(), options);
    engine.submit({ id: 'a', prompt: [1], maxTokens: 2, sampling });
    const [first] = await events(engine);
    expect(first).toMatchObject({ kind: 'token', token: 7, logprobs: { top: [{ token: 7 }] } });
    const mute: ModelRunner = { run: async () => ({ tokens: [1], durationMs: 1 }) };
    const other = new Engine(mute, options);
    other.submit({ id: 'a', prompt: [1], maxTokens: 2, sampling });
    expect(await events(other)).toMatchObject([{ outcome: { reason: 'error' } }]);
  });
});
