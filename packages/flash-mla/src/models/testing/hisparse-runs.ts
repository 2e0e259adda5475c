import type { Engine } from '@flash-mla/engine';
import { Random } from '../../ops/conformance/suite/random.ts';
import type { Device } from '../../runtime/device/device.ts';
import { type ModelCacheDType, modelCacheDTypes } from '../cache-dtype.ts';
import { type IndexedModel, indexedModels, LoadedModel } from './tiny-indexed.ts';

/** What the tiny models choose, and tokens of a page. */
const [topK, page] = [32, 64];

interface Asked {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  /** Cancelled in this step of the engine after it was sent; never where it is undefined. */
  readonly cancelledAfter: number | undefined;
  /** Sent in this step. */
  readonly step: number;
}

/** What one run has, all of it drawn. */
export interface Run {
  readonly seed: number;
  readonly model: IndexedModel;
  readonly cache: ModelCacheDType;
  /** H. */
  readonly bufferSize: number;
  readonly devicePages: number;
  readonly ratio: number;
  readonly maxRunning: number;
  readonly requests: readonly Asked[];
}

/** What happened in a run. */
export interface RunCounts {
  tokens: number;
  cancelled: number;
  preemptions: number;
  misses: number;
  cached: number;
}

/** Lengths around K, H, H + 1 and the borders of pages; pages of the device are few in half of the runs. */
export function drawRun(seed: number): Run {
  const random = new Random(`hisparse run ${seed}`);
  const bufferSize = random.pick([page, 2 * page]);
  const near = [topK, bufferSize, bufferSize + 1, page, 2 * page, 3 * page];
  const bufferPages = bufferSize / page + 1;
  const count = random.integer(1, 4);
  const shared = Array.from({ length: 4 * page }, () => random.integer(0, 499));
  const requests = Array.from({ length: count }, (): Asked => {
    const length = Math.max(1, random.pick(near) + random.integer(-2, 2));
    const own = Array.from({ length }, () => random.integer(0, 499));
    return {
      prompt: random.chance(0.3) ? shared.slice(0, length) : own,
      maxTokens: random.integer(1, 24),
      cancelledAfter: random.chance(0.25) ? random.integer(0, 20) : undefined,
      step: random.integer(0, 12),
    };
  });
  const longest = Math.max(
    ...requests.map(({ prompt, maxTokens }) => Math.ceil((prompt.length + maxTokens) / page)),
  );
  const fewest = Math.max(longest, bufferPages) + 1;
  return {
    ...{ seed, bufferSize, requests },
    model: random.pick(indexedModels),
    cache: random.pick(modelCacheDTypes),
    devicePages: fewest + (random.chance(0.5) ? random.integer(0, 1) : 12),
    ratio: random.pick([1, 1.5, 3]),
    maxRunning: random.integer(1, 4),
  };
}

/** Tiny models whose weights are loaded once, and runs on them. */
export class HiSparseRuns {
  readonly counts: RunCounts = { tokens: 0, cancelled: 0, preemptions: 0, misses: 0, cached: 0 };
  readonly #device: Device;
  readonly #loaded = new Map<string, Promise<LoadedModel>>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** Each request by itself and without HiSparse, and all of them together with it: what differs, or undefined. */
  async differs(run: Run): Promise<string | undefined> {
    const { requests, bufferSize, devicePages: totalPages, maxRunning, ratio } = run;
    const model = await this.#model(run);
    const maxModelLength = Math.floor((totalPages - 1) * page * ratio);
    const hisparse = {
      ...{ topK, deviceBufferSize: bufferSize, hostToDeviceRatio: ratio, swapInBlockSize: 64 },
    };
    const { engine, release } = model.open({ totalPages, maxModelLength, maxRunning, hisparse });
    const answers = await serve(engine, requests);
    const { stats } = engine;
    release();
    this.counts.preemptions += stats.preemptions;
    this.counts.misses += stats.hisparse?.misses ?? 0;
    this.counts.cached += stats.prefixCacheHits;
    const left = (stats.hisparse?.device.usedTokens ?? 0) + (stats.hisparse?.host.usedTokens ?? 0);
    if (left > 0) return `run ${run.seed}: ${left} tokens' pages are not given back`;
    for (const [i, { prompt, maxTokens }] of requests.entries()) {
      const { tokens, reason } = answers[i] ?? { tokens: [], reason: 'none' };
      this.counts.tokens += tokens.length;
      if (reason === 'cancelled') this.counts.cancelled++;
      const alone = await this.#alone(model, prompt, maxTokens);
      const expected = reason === 'cancelled' ? alone.slice(0, tokens.length) : alone;
      if (expected.join() !== tokens.join()) {
        const at = `run ${run.seed} (${run.model}, ${run.cache}), request ${i} of ${prompt.length} tokens`;
        return `${at}: ${tokens.join(' ')} (${reason}) in place of ${expected.join(' ')}`;
      }
    }
    return undefined;
  }

  async close(): Promise<void> {
    for (const model of this.#loaded.values()) (await model)[Symbol.dispose]();
  }

  async #alone(model: LoadedModel, prompt: readonly number[], maxTokens: number) {
    const length = prompt.length + maxTokens;
    const totalPages = Math.ceil(length / page) + 1;
    const { engine, release } = model.open({ totalPages, maxModelLength: length, maxRunning: 1 });
    const asked = { prompt, maxTokens, cancelledAfter: undefined, step: 0 };
    const [answer] = await serve(engine, [asked]);
    release();
    return answer?.tokens ?? [];
  }

  #model({ model, cache }: Run): Promise<LoadedModel> {
    const key = `${model} ${cache}`;
    const known = this.#loaded.get(key) ?? LoadedModel.load(this.#device, model, cache);
    this.#loaded.set(key, known);
    return known;
  }
}

interface Answer {
  readonly tokens: number[];
  reason: string;
}

async function serve(engine: Engine, requests: readonly Asked[]) {
  const answers = requests.map((): Answer => ({ tokens: [], reason: 'none' }));
  const last = Math.max(...requests.map(({ step }) => step));
  for (let step = 0; step <= last || engine.hasWork; step++) {
    for (const [i, { prompt, maxTokens, cancelledAfter, step: sent }] of requests.entries()) {
      const id = `${i}`;
      if (step === sent) {
        const sampling = { temperature: 0 };
        engine.submit({ id, prompt, sampling, maxTokens, stopTokens: [] });
      }
      if (cancelledAfter !== undefined && step === sent + cancelledAfter) engine.cancel(id);
    }
    for (const event of await engine.step()) {
      const answer = answers[Number(event.id)];
      if (event.kind === 'token') answer?.tokens.push(event.token);
      else if (answer) answer.reason = event.outcome.reason;
    }
  }
  return answers;
}
