import { readFileSync } from 'node:fs';
import {
  Engine,
  type EngineOptions,
  type ModelRunner,
  type SamplingParams,
} from '@flash-mla/engine';
import {
  Decoder,
  DecoderRunner,
  type LayerCache,
  loadWeights,
  parseConfig,
} from '@flash-mla/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { matricesOf, matricesOfCache } from '../../../models/src/layers/map-weights.ts';
import { dataPath, tinyConfig } from '../../../models/src/testing/data.ts';
import { checkpointFiles } from '../../../models/src/testing/memory-files.ts';
import { tinyTensors } from '../../../models/src/testing/tiny-weights.ts';
import { openDevice } from '../open-device.ts';
import type { Device } from '../runtime/device/device.ts';
import { type DeviceMatrix, DeviceOperations } from './device-operations.ts';

const name = 'deepseek-v2-lite';
const totalPages = 8;

interface Answer {
  readonly tokens: number[];
  /** The likeliest tokens of each place, and log-probabilities. */
  readonly best: number[];
  readonly logprobs: number[];
}

describe('DeviceRunner', () => {
  let device: Device;
  let ops: DeviceOperations;
  let decoder: Decoder<DeviceMatrix>;
  let cache: LayerCache<DeviceMatrix>[];
  let release: () => void;
  beforeAll(async () => {
    device = await openDevice('sim');
    ops = new DeviceOperations(device);
    const list = readFileSync(dataPath(`tiny/${name}/tensors.json`), 'utf8');
    const files = await checkpointFiles(tinyConfig(name), tinyTensors(JSON.parse(list)), 1);
    const config = parseConfig(tinyConfig(name));
    const weights = await loadWeights(files, config, ops);
    decoder = new Decoder(config, ops, weights, 192);
    cache = decoder.createCache(totalPages);
    release = () => {
      for (const matrix of [...matricesOf(weights), ...matricesOfCache(cache)]) ops.release(matrix);
    };
  });
  afterAll(() => device.dispose());

  /** What the engine gives out for prompts that arrive one step after the other. */
  async function generate(
    runner: ModelRunner,
    samplings: readonly SamplingParams[],
    options: Partial<EngineOptions>,
  ): Promise<Answer[]> {
    const engine = new Engine(runner, {
      ...{ totalPages, maxModelLength: 192, pageSize: ops.pageSize, maxRunning: 3 },
      ...{ maxBatchTokens: 512, ...options },
    });
    const answers = samplings.map((): Answer => ({ tokens: [], best: [], logprobs: [] }));
    const waiting = [...samplings.entries()];
    while (waiting.length > 0 || engine.hasWork) {
      const next = waiting.shift();
      if (next !== undefined) {
        const [i, sampling] = next;
        const prompt = Array.from({ length: 3 + 2 * i }, (_, j) => (31 * i + 7 * j) % 500);
        engine.submit({ id: `${i}`, prompt, sampling, maxTokens: 3, stopTokens: [] });
      }
      const events = await engine.step();
      for (const event of events) {
        if (event.kind !== 'token') continue;
        const answer = answers[Number(event.id)];
        answer?.tokens.push(event.token);
        if (event.logprobs === undefined) continue;
        const { top, logprob } = event.logprobs;
        answer?.best.push(...top.map(({ token }) => token));
        answer?.logprobs.push(logprob, ...top.map((each) => each.logprob));
      }
    }
    return answers;
  }

  const even = Array.from({ length: 256 }, (_, i) => 2 * i);
  const samplings: SamplingParams[] = [
    { temperature: 0 },
    { temperature: 0.8, seed: 3, topK: 20, topP: 0.9, logprobs: 2, allowedTokens: even },
    { temperature: 0, repetitionPenalty: 1.3 },
  ];

  it('gives the tokens that steps call by call give, with steps that overlap', async () => {
    const expected = await generate(new DecoderRunner(decoder, cache), samplings, {
      overlap: false,
    });
    expect(expected.map(({ tokens }) => tokens.length)).toEqual([3, 3, 3]);
    expect(expected.map(({ logprobs }) => logprobs.length)).toEqual([0, 9, 0]);
    const before = device.memoryStats().allocated;
    const runner = ops.createRunner?.(decoder, cache);
    const actual = await generate(runner as ModelRunner, samplings, { overlap: true });
    for (const [i, { tokens, best, logprobs }] of actual.entries()) {
      expect({ tokens, best }).toEqual({ tokens: expected[i]?.tokens, best: expected[i]?.best });
      for (const [j, logprob] of logprobs.entries()) {
        expect(logprob).toBeCloseTo(expected[i]?.logprobs[j] as number, 4);
      }
    }
    runner?.[Symbol.dispose]();
    expect(device.memoryStats().allocated).toBe(before);
    release();
    expect(device.memoryStats().allocated).toBe(0);
  }, 180_000);
});
