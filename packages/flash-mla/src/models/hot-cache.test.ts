import { readFileSync } from 'node:fs';
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
} from '@flash-mla/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataPath, tinyConfig } from '../../../models/src/testing/data.ts';
import { checkpointFiles } from '../../../models/src/testing/memory-files.ts';
import { tinyTensors } from '../../../models/src/testing/tiny-weights.ts';
import { openDevice } from '../open-device.ts';
import { uniform } from '../ops/bench/random.ts';
import type { Device } from '../runtime/device/device.ts';
import { DeviceOperations } from './device-operations.ts';

/** A tiny GLM-5 whose second layer shares the choice of the first. */
const text = JSON.stringify({
  ...JSON.parse(tinyConfig('glm-moe-dsa')),
  indexer_types: ['full', 'shared', 'full'],
});
const config = parseConfig(text);
const json = '{ "device_buffer_size": 64, "host_to_device_ratio": 4 }';

async function modelFiles(): Promise<ModelFiles> {
  const list = JSON.parse(readFileSync(dataPath('tiny/glm-moe-dsa/tensors.json'), 'utf8'));
  const own = Object.entries(list).filter(([name]) => !name.includes('layers.1.self_attn.indexer'));
  return checkpointFiles(text, tinyTensors(Object.fromEntries(own) as typeof list), 1);
}

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

  const load = (hisparse: HiSparseOptions | undefined): Promise<LoadedRunner> =>
    loadRunner(new DeviceOperations(device), files, config, {
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
    // Around the top-k of 32, the buffer of 64 and the borders of pages; two begin alike.
    const lengths = [5, 31, 33, 62, 63, 64, 65, 66, 127, 130, 200, 200];
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
  ] as const)('%s', (_, name, wanted, expected) => {
    const run = () => hiSparseFor(parseConfig(tinyConfig(name)), ops, wanted);
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

function tokenizer(): string {
  return readFileSync(new URL('../../../tales/tokenizer.json', import.meta.url), 'utf8');
}
