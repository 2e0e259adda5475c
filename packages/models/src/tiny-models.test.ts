import { readFileSync } from 'node:fs';
import { openSafetensors, type WritableTensor } from '@flash-mla/safetensors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadWeights } from './checkpoint/load-weights.ts';
import { parseConfig } from './config/parse-config.ts';
import { makeBatch } from './layers/batch.ts';
import { Decoder } from './layers/decoder.ts';
import { PlainOperations } from './plain/plain-operations.ts';
import { dataPath, tinyConfig, tinyModels } from './testing/data.ts';
import { checkpointFiles } from './testing/memory-files.ts';
import { tinyTensors } from './testing/tiny-weights.ts';

/** Pages in an order that is not theirs. */
const pages = [2, 0, 1];

// Answers: transformers 5.17.0 in float32, on the same weights.
describe.each(tinyModels)('%s', (name) => {
  const config = parseConfig(tinyConfig(name));
  const answers = openSafetensors(dataPath(`tiny/${name}/expected.safetensors`));
  let tensors: Map<string, WritableTensor>;
  beforeAll(() => {
    const list = readFileSync(dataPath(`tiny/${name}/tensors.json`), 'utf8');
    tensors = tinyTensors(JSON.parse(list));
  });
  afterAll(async () => (await answers).close());

  const load = async (numShards: number) => {
    const ops = new PlainOperations();
    const files = await checkpointFiles(tinyConfig(name), tensors, numShards);
    return new Decoder(config, ops, await loadWeights(files, config, ops));
  };
  const problem = async (prompt: number) => {
    const file = await answers;
    const { data: tokens } = await file.read(`${prompt}.input_ids`, 'i32');
    const { data: positions } = await file.read(`${prompt}.positions`, 'i32');
    const { data: expected } = await file.read(`${prompt}.logits`, 'f32');
    const { data: greedy } = await file.read(`${prompt}.greedy`, 'i32');
    return { tokens, positions, expected, greedy };
  };

  it('gives the logits and the greedy tokens of transformers', async () => {
    const decoder = await load(1);
    for (const prompt of [0, 1]) {
      const { tokens, positions, expected, greedy } = await problem(prompt);
      const cache = decoder.createCache(3);
      const batch = makeBatch([{ tokens, start: 0, pages }]);
      const { logits } = await decoder.forward(batch, cache, positions);
      expect(largestDifference(logits, expected)).toBeLessThan(2e-4);
      let last = logits.subarray(-512);
      for (const [i, token] of greedy.entries()) {
        expect(last.indexOf(Math.max(...last))).toBe(token);
        const next = makeBatch([{ tokens: [token], start: tokens.length + i, pages }]);
        last = (await decoder.forward(next, cache, Int32Array.of(0))).logits;
      }
    }
  });

  it('is the same from five files', async () => {
    const decoder = await load(5);
    const { tokens, positions, expected } = await problem(0);
    const batch = makeBatch([{ tokens, start: 0, pages }]);
    const { logits } = await decoder.forward(batch, decoder.createCache(3), positions);
    expect(largestDifference(logits, expected)).toBeLessThan(2e-4);
  });
});

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
}
