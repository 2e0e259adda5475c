import { readFileSync } from 'node:fs';
import {
  Engine,
  type ModelRunner,
  type RequestOptions,
  type TokenConstraint,
  type TokenMask,
} from '@flash-mla/engine';
import {
  Decoder,
  DecoderRunner,
  type LayerCache,
  loadWeights,
  type ModelConfig,
  type ModelWeights,
  matricesOf,
  matricesOfCache,
  parseConfig,
} from '@flash-mla/models';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { dataPath, tinyConfig } from '../../../models/src/testing/data.ts';
import { checkpointFiles } from '../../../models/src/testing/memory-files.ts';
import { tinyTensors } from '../../../models/src/testing/tiny-weights.ts';
import { openCpu } from '../ops/attention/cpu/testing/problems.ts';
import type { Device } from '../runtime/device/device.ts';
import { type DeviceMatrix, DeviceOperations } from './device-operations.ts';

const name = 'deepseek-v2-lite';
const totalPages = 32;

interface Answer {
  readonly tokens: number[];
  /** Log-probabilities: of the token and of the likeliest ones. */
  readonly logprobs: number[];
}

/** A request, the step before which it arrives, and the one before which it is cancelled. */
interface Arrival {
  readonly step: number;
  readonly cancelled?: number;
  readonly request: Omit<RequestOptions, 'id' | 'stopTokens'>;
}

const promptOf = (seed: number, length: number) =>
  Array.from({ length }, (_, i) => (31 * seed + 7 * i) % 500);

/** Of the kinds of drawing; the one with `maxTokens: 1` comes and goes while the others stay as they are. */
const mixed: Arrival[] = [
  { step: 0, request: { prompt: promptOf(0, 3), sampling: { temperature: 0 }, maxTokens: 14 } },
  {
    step: 0,
    request: {
      prompt: promptOf(1, 70),
      // Drawn on the host: what it reports are the bits of the logits.
      sampling: { temperature: 0, repetitionPenalty: 1.3, logprobs: 2 },
      maxTokens: 12,
    },
  },
  {
    step: 3,
    request: {
      prompt: promptOf(2, 9),
      sampling: { temperature: 0.8, seed: 3, topK: 20, topP: 0.9, logprobs: 2 },
      maxTokens: 6,
    },
  },
  { step: 6, request: { prompt: promptOf(3, 5), sampling: { temperature: 0 }, maxTokens: 1 } },
  {
    step: 9,
    request: {
      prompt: promptOf(4, 12),
      sampling: { temperature: 0 },
      maxTokens: 6,
      constraint: () => new Multiples(7),
    },
  },
  {
    step: 10,
    cancelled: 13,
    request: { prompt: promptOf(5, 4), sampling: { temperature: 1, seed: 8 }, maxTokens: 30 },
  },
];

/** Allows the multiples of a number, then of one more. */
class Multiples implements TokenConstraint {
  #of: number;

  constructor(of: number) {
    this.#of = of;
  }

  async mask(): Promise<TokenMask> {
    const mask = new Int32Array(16);
    for (let token = 0; token < 512; token += this.#of) {
      mask[token >> 5] = (mask[token >> 5] ?? 0) | (1 << (token & 31));
    }
    return mask;
  }

  accept(): void {
    this.#of++;
  }
}

describe.each([{}, { native: false }, { sharedMemory: false }])(
  'steps on the processor with options %j',
  (options) => {
    let device: Device;
    let ops: DeviceOperations;
    let config: ModelConfig;
    let weights: ModelWeights<DeviceMatrix>;
    let decoder: Decoder<DeviceMatrix>;
    let cache: LayerCache<DeviceMatrix>[];
    beforeAll(async () => {
      device = await openCpu(options);
      ops = new DeviceOperations(device);
      const list = readFileSync(dataPath(`tiny/${name}/tensors.json`), 'utf8');
      const files = await checkpointFiles(tinyConfig(name), tinyTensors(JSON.parse(list)), 1);
      config = parseConfig(tinyConfig(name));
      weights = await loadWeights(files, config, ops);
      decoder = new Decoder(config, ops, weights, 192);
      cache = decoder.createCache(totalPages);
    });
    afterAll(async () => {
      for (const matrix of [...matricesOf(weights), ...matricesOfCache(cache)]) ops.release(matrix);
      expect(device.memoryStats().allocated).toBe(0);
      await device.dispose();
    });

    async function generate(
      runner: ModelRunner,
      arrivals: readonly Arrival[],
      overlap: boolean,
    ): Promise<Answer[]> {
      const engine = new Engine(runner, {
        ...{ totalPages, maxModelLength: 192, pageSize: ops.pageSize, maxRunning: 20 },
        ...{ maxBatchTokens: 512, prefixCache: false, overlap },
      });
      const answers = arrivals.map((): Answer => ({ tokens: [], logprobs: [] }));
      const last = Math.max(...arrivals.map(({ step }) => step));
      for (let step = 0; step <= last || engine.hasWork; step++) {
        for (const [i, arrival] of arrivals.entries()) {
          if (arrival.step === step)
            engine.submit({ id: `${i}`, stopTokens: [], ...arrival.request });
          if (arrival.cancelled === step) engine.cancel(`${i}`);
        }
        for (const event of await engine.step()) {
          if (event.kind !== 'token') continue;
          const answer = answers[Number(event.id)];
          answer?.tokens.push(event.token);
          if (event.logprobs === undefined) continue;
          const { top, logprob } = event.logprobs;
          answer?.logprobs.push(logprob, ...top.map((each) => each.logprob));
        }
      }
      return answers;
    }

    function createRunner(): ModelRunner & Disposable {
      const runner = ops.createRunner?.(decoder, cache);
      if (runner === undefined) throw new Error('no runner of its own');
      return runner;
    }

    it.each([true, false])('gives what calls give, overlap %s', async (overlap) => {
      const expected = await generate(new DecoderRunner(decoder, cache), mixed, overlap);
      expect(expected.map(({ tokens }) => tokens.length).slice(0, 5)).toEqual([14, 12, 6, 1, 6]);
      const before = device.memoryStats().allocated;
      const capture = vi.spyOn(device, 'capture');
      const runner = createRunner();
      const actual = await generate(runner, mixed, overlap);
      expect(actual.map(({ tokens }) => tokens)).toEqual(expected.map(({ tokens }) => tokens));
      // One graph for each size of a batch without prompts: 1 to 4.
      expect(capture.mock.calls.length).toBeGreaterThanOrEqual(3);
      expect(capture.mock.calls.length).toBeLessThanOrEqual(4);
      capture.mockRestore();
      expect(actual[1]?.logprobs).toEqual(expected[1]?.logprobs);
      const close = (expected[2]?.logprobs ?? []).map((value) => expect.closeTo(value, 5));
      expect(close).toHaveLength(18);
      expect(actual[2]?.logprobs).toEqual(close);
      runner[Symbol.dispose]();
      expect(device.memoryStats().allocated).toBe(before);
    });

    it('goes on from the tokens of steps that were not recorded', async () => {
      const arrivals = [0, 0, 5].map((step, i): Arrival => {
        const maxTokens = step === 0 ? 14 : 1;
        return {
          step,
          request: { prompt: promptOf(i, 6), sampling: { temperature: 0 }, maxTokens },
        };
      });
      const expected = await generate(new DecoderRunner(decoder, cache), arrivals, true);
      using runner = createRunner();
      expect(await generate(runner, arrivals, true)).toEqual(expected);
    });

    it('takes nothing over from the request that had the slot before', async () => {
      const arrivals = [0, 12].map((step, i): Arrival => {
        const request = { prompt: promptOf(i, 6), sampling: { temperature: 0 }, maxTokens: 6 };
        return { step, request };
      });
      const expected = await generate(new DecoderRunner(decoder, cache), arrivals, true);
      using runner = createRunner();
      expect(await generate(runner, arrivals, true)).toEqual(expected);
    });

    it('records no more than 16 rows', async () => {
      const arrivals = Array.from({ length: 18 }, (_, i): Arrival => {
        const maxTokens = 2 + Math.floor(i / 2);
        return {
          step: 0,
          request: { prompt: promptOf(i, 4), sampling: { temperature: 0 }, maxTokens },
        };
      });
      const expected = await generate(new DecoderRunner(decoder, cache), arrivals, true);
      const capture = vi.spyOn(device, 'capture');
      using runner = createRunner();
      expect(await generate(runner, arrivals, true)).toEqual(expected);
      // 18 rows at first, then two fewer in each step.
      expect(capture).toHaveBeenCalledTimes(8);
      capture.mockRestore();
    });

    it('has no runner of its own for models with an indexer, nor for large ones', () => {
      const runnerOf = (other: Partial<ModelConfig>) => {
        const changed = { ...config, ...other };
        return ops.createRunner?.(new Decoder(changed, ops, weights, 192), cache);
      };
      const { indexer } = parseConfig(tinyConfig('deepseek-v32'));
      expect(indexer).toBeDefined();
      expect(runnerOf({ ...(indexer && { indexer }) })).toBeUndefined();
      expect(runnerOf({ vocabSize: 2 ** 25 })).toBeUndefined();
      expect(runnerOf({})).toBeDefined();
    });
  },
);
