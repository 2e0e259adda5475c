import type { BatchPlan, ModelRunner, SlotStart } from '@flash-mla/engine';
import { Decoder, DecoderRunner, type ModelConfig, matricesOfCache } from '@flash-mla/models';
import type { Device } from '../../runtime/device/device.ts';
import { type DeviceMatrix, DeviceOperations } from '../device-operations.ts';
import { RandomWeights } from './random-weights.ts';

/** What is measured: `b` sequences that decode behind `context` tokens, or prompts of so many tokens. */
export interface ModelProblem {
  readonly phase: 'decode' | 'prefill';
  readonly b: number;
  readonly context: number;
}

/** Times of steps in milliseconds, by the clock of the host. */
export interface ModelTimes {
  readonly median: number;
  readonly min: number;
  readonly steps: number;
  /** Tokens a second over all steps, their gaps included. */
  readonly tokensPerSecond: number;
}

/** How long to measure. */
export interface MeasureOptions {
  readonly seconds: number;
  readonly signal?: AbortSignal | undefined;
}

interface StepOptions extends MeasureOptions {
  readonly overlap: boolean;
  /** Steps before the clock runs. */
  readonly warmUpSteps: number;
  readonly mostSteps: number;
}

/** Steps before the clock runs: kernels are compiled, and clocks go up. */
const warmUpSteps = 3;
const fewestSteps = 4;
const mostSteps = 512;

/** A model of random weights, through the runner that an engine would use. */
export class ModelBench implements Disposable {
  readonly #config: ModelConfig;
  readonly #ops: DeviceOperations;
  readonly #random: RandomWeights;

  /** Throws OutOfMemoryError. */
  constructor(device: Device, config: ModelConfig) {
    this.#config = config;
    this.#ops = new DeviceOperations(device);
    this.#random = new RandomWeights(device, config);
  }

  async measure(problem: ModelProblem, options: MeasureOptions): Promise<ModelTimes> {
    const { b, context, phase } = problem;
    const { pageSize } = this.#ops;
    const length = context + (phase === 'decode' ? warmUpSteps + mostSteps : 0);
    const decoder = new Decoder(this.#config, this.#ops, this.#random.weights, length);
    const pagesOfEach = Math.ceil(length / pageSize);
    const cache = decoder.createCache(1 + b * pagesOfEach);
    let own: (ModelRunner & Disposable) | undefined;
    try {
      for (const { latents } of cache) this.#random.fill(latents);
      own = this.#ops.createRunner?.(decoder, cache);
      const runner = own ?? new DecoderRunner<DeviceMatrix>(decoder, cache);
      const plans = phase === 'decode' ? this.#decodes(problem) : this.#prefills(problem);
      const counts = { warmUpSteps, mostSteps };
      return await timeSteps(runner, plans, { ...options, ...counts, overlap: own !== undefined });
    } finally {
      own?.[Symbol.dispose]();
      for (const matrix of matricesOfCache(cache)) this.#ops.release(matrix);
    }
  }

  [Symbol.dispose](): void {
    this.#random[Symbol.dispose]();
  }

  /** Steps of one token for each sequence, each with what the step before has drawn. */
  *#decodes({ b, context }: ModelProblem): Generator<Step> {
    const { pageSize } = this.#ops;
    const pagesOfEach = Math.ceil((context + warmUpSteps + mostSteps) / pageSize);
    const pagesOf = (slot: number) =>
      Array.from({ length: pagesOfEach }, (_, i) => 1 + slot * pagesOfEach + i);
    const slots = Array.from({ length: b }, (_, slot) => ({ slot, pages: pagesOf(slot) }));
    for (let i = 0; ; i++) {
      const decodes = slots.map(({ slot, pages }) => ({
        ...{ slot, epoch: 0, position: context + i, pages },
        token: i === 0 ? this.#token(slot) : null,
      }));
      const starts = i === 0 ? slots.map(({ slot }) => startOf(slot)) : [];
      yield { tokens: b, plan: { ...emptyPlan(i + 1), starts, decodes, numDecodeRows: b } };
    }
  }

  *#prefills({ b, context }: ModelProblem): Generator<Step> {
    const pagesOfEach = Math.ceil(context / this.#ops.pageSize);
    const prefills = Array.from({ length: b }, (_, slot) => ({
      ...{ slot, epoch: 0, start: 0, samples: true },
      tokens: Array.from({ length: context }, (_unused, i) => this.#token(slot * context + i)),
      pages: Array.from({ length: pagesOfEach }, (_unused, i) => 1 + slot * pagesOfEach + i),
    }));
    const starts = prefills.map(({ slot }) => startOf(slot));
    for (let i = 1; ; i++) {
      yield { tokens: b * context, plan: { ...emptyPlan(i), starts, prefills } };
    }
  }

  /** Some token, another one for most numbers. */
  #token(i: number): number {
    return (Math.imul(i + 1, 0x9e3779b1) >>> 0) % this.#config.vocabSize;
  }
}

/** A step, and how many tokens it computes. */
export interface Step {
  readonly tokens: number;
  readonly plan: BatchPlan;
}

export const emptyPlan = (step: number) => ({
  ...{ step, deterministic: false, starts: [], decodes: [], numDecodeRows: 0, prefills: [] },
});

export const startOf = (slot: number): SlotStart => ({
  ...{ slot, epoch: 0, id: `${slot}`, index: 0, sampling: { temperature: 0 } },
  ...{ tokens: [], promptLength: 0 },
});

/** With overlap a step is handed in while the one before is computed, as an engine does. */
export async function timeSteps(
  runner: ModelRunner,
  steps: Generator<Step>,
  { seconds, signal, overlap, warmUpSteps, mostSteps }: StepOptions,
): Promise<ModelTimes> {
  const ends: number[] = [];
  let tokens = 0;
  let pending: Promise<unknown> | undefined;
  const enough = () =>
    ends.length > mostSteps ||
    (ends.length > fewestSteps && (ends.at(-1) as number) - (ends[0] as number) > 1000 * seconds);
  for (let i = 0; !enough(); i++) {
    signal?.throwIfAborted();
    const step = steps.next().value as Step;
    tokens = step.tokens;
    const result = runner.run(step.plan);
    // A rejection is seen when its turn comes.
    result.catch(() => {});
    await (overlap ? pending : result);
    pending = result;
    if (i >= warmUpSteps) ends.push(performance.now());
  }
  await pending;
  const times = ends.slice(1).map((end, i) => end - (ends[i] as number));
  const total = times.reduce((sum, time) => sum + time, 0);
  const sorted = times.toSorted((a, b) => a - b);
  return {
    median: sorted[sorted.length >> 1] ?? 0,
    min: sorted[0] ?? 0,
    steps: times.length,
    tokensPerSecond: (1000 * tokens * times.length) / total,
  };
}
