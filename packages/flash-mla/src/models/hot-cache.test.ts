import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from '@flash-mla/core';
import {
  Engine,
  EngineOptionError,
  type EngineStats,
  type HiSparseOptions,
  parseHiSparseConfig,
} from '@flash-mla/engine';
import {
  hiSparseFor,
  type LoadedRunner,
  loadModelOn,
  loadRunner,
  type ModelFiles,
  ModelOptionError,
  PlainOperations,
  parseConfig,
  readConfig,
} from '@flash-mla/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tinyConfig } from '../../../models/src/testing/data.ts';
import { openDevice } from '../open-device.ts';
import { uniform } from '../ops/bench/random.ts';
import type { Device } from '../runtime/device/device.ts';
import { DeviceOperations } from './device-operations.ts';
import { loadModel } from './load-model.ts';
import { indexedFiles } from './testing/tiny-indexed.ts';

const json = '{ "device_buffer_size": 64, "host_to_device_ratio": 4 }';
const modelFiles = () => indexedFiles('glm-moe-dsa, shared');

interface Prompt {
  readonly tokens: readonly number[];
  readonly maxTokens: number;
}

const sizes = { totalPages: 24, maxModelLength: 700, maxRunning: 3 };

describe('HiSparse on the processor', () => {
  let device: Device;
  let files: ModelFiles;
  beforeAll(async () => {
    device = await openDevice('cpu');
    files = await modelFiles();
  });
  afterAll(() => device.dispose());

  const load = async (hisparse: HiSparseOptions | undefined): Promise<LoadedRunner> =>
    loadRunner(new DeviceOperations(device), files, await readConfig(files), {
      ...sizes,
      ...(hisparse && { hisparse }),
    });

  /** The greedy answers to prompts, `together` at a time; in another mode more pages are needed. */
  async function answers(
    prompts: readonly Prompt[],
    hisparse: HiSparseOptions | undefined,
    together: number,
  ): Promise<{ readonly tokens: number[][]; readonly stats: EngineStats }> {
    const { runner, release } = await load(hisparse);
    const options = { ...sizes, pageSize: 64, overlap: false };
    const engine = new Engine(runner, { ...options, ...(hisparse && { hisparse }) });
    const tokens = prompts.map((): number[] => []);
    const waiting = [...prompts.entries()];
    let live = 0;
    while (waiting.length > 0 || engine.hasWork) {
      for (; live < together && waiting.length > 0; live++) {
        const [i, { tokens: prompt, maxTokens }] = waiting.shift() as [number, Prompt];
        engine.submit({
          id: `${i}`,
          prompt,
          sampling: { temperature: 0 },
          maxTokens,
          stopTokens: [],
        });
      }
      for (const event of await engine.step()) {
        if (event.kind === 'token') tokens[Number(event.id)]?.push(event.token);
        else live--;
      }
    }
    const { stats } = engine;
    release();
    return { tokens, stats };
  }

  it('gives the tokens that it gives without', async () => {
    const next = uniform(18);
    // Two begin alike. hisparse-runs.test.ts has all lengths around the top-k, the buffer and the pages.
    const lengths = [33, 65, 200, 200];
    const prompts = lengths.map((length, i) => ({
      tokens: Array.from({ length }, (_, j) =>
        j < 130 && length === 200 ? (37 * j) % 500 : Math.floor(next() * 500),
      ),
      maxTokens: i % 3 === 0 ? 70 : 12,
    }));
    const hisparse = parseHiSparseConfig(json, { indexTopK: 32, pageSize: 64 });
    const without = await answers(prompts, undefined, 1);
    const { tokens, stats } = await answers(prompts, hisparse, 1);
    expect(tokens).toEqual(without.tokens);
    expect(stats.hisparse?.bytesSwappedIn).toBeGreaterThan(0);
    expect(device.memoryStats().allocated).toBe(0);
  }, 60_000);

  it('serves several at a time, and gives everything back', async () => {
    const prompts = Array.from({ length: 9 }, (_, i) => ({
      tokens: Array.from({ length: 20 + 45 * i }, (_, j) => (31 * i + 7 * j) % 500),
      maxTokens: 20,
    }));
    const hisparse = parseHiSparseConfig(json, { indexTopK: 32, pageSize: 64 });
    const { tokens } = await answers(prompts, hisparse, 3);
    expect(tokens.map(({ length }) => length)).toEqual(prompts.map(({ maxTokens }) => maxTokens));
    expect(device.memoryStats().allocated).toBe(0);
  }, 60_000);
});

describe('HiSparse is refused before anything is loaded', () => {
  const ops = { pageSize: 64, createHotCache: () => {} };
  it.each([
    ['a model without an indexer', 'deepseek-v3', '{}', 'an indexer'],
    ['malformed JSON', 'glm-moe-dsa', '{', 'a JSON object'],
    ['another top_k', 'glm-moe-dsa', '{ "top_k": 2048 }', "which the model's indexer chooses"],
    ['a buffer that is no page', 'glm-moe-dsa', '{ "device_buffer_size": 33 }', 'a multiple'],
    [
      'a buffer that the device cannot hold',
      'glm-moe-dsa',
      '{ "device_buffer_size": 640 }',
      'at least 704 tokens (one hot buffer), got 576',
    ],
  ] as const)('%s', (_, name, wanted, expected) => {
    const run = () => hiSparseFor(parseConfig(tinyConfig(name)), ops, wanted, 10);
    expect(run).toThrow(EngineOptionError);
    expect(run).toThrow(expected);
  });

  it('operations that keep nothing on the host', async () => {
    const files = await modelFiles();
    const read: string[] = [];
    const watched: ModelFiles = {
      ...files,
      tensors: (file) => {
        read.push(file);
        return files.tensors(file);
      },
    };
    const named: ModelFiles = {
      ...watched,
      text: async (file) => (file === 'tokenizer.json' ? tokenizer() : watched.text(file)),
    };
    const loading = loadModelOn(new PlainOperations(), named, { hisparse: true });
    await expect(loading).rejects.toThrow(ModelOptionError);
    expect(read).toEqual([]);
  });
});

describe('a cache of packed rows', () => {
  it('is refused for a model without an indexer before weights are read', async () => {
    await using device = await openDevice('cpu');
    const ops = new DeviceOperations(device, { kvCacheDType: 'fp8' });
    const config = parseConfig(tinyConfig('deepseek-v3'));
    const files = { name: 'none', text: async () => undefined, tensors: unread };
    const loading = loadRunner(ops, files, config, sizes);
    await expect(loading).rejects.toThrow(ModelOptionError);
    await expect(loading).rejects.toThrow('512 + 64 values, no indexer');
  });

  it('has no other element types, and none in float32', async () => {
    const wrong = { kvCacheDType: 'fp4' as 'fp8' };
    await expect(loadModel('@flash-mla/tales', wrong)).rejects.toThrow('bf16 or fp8');
    const plain = { dtype: 'f32', kvCacheDType: 'fp8' } as const;
    await expect(loadModel('@flash-mla/tales', plain)).rejects.toThrow(InvalidArgumentError);
  });
});

const unread = () => Promise.reject(new Error('a file of weights was read'));

function tokenizer(): string {
  return readFileSync(new URL('../../../tales/tokenizer.json', import.meta.url), 'utf8');
}
