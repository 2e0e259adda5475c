import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadWeights } from '../checkpoint/load-weights.ts';
import { parseConfig } from '../config/parse-config.ts';
import type { PlainMatrix } from '../plain/matrix.ts';
import { PlainOperations } from '../plain/plain-operations.ts';
import { dataPath, tinyConfig } from '../testing/data.ts';
import { checkpointFiles } from '../testing/memory-files.ts';
import { tinyTensors } from '../testing/tiny-weights.ts';
import { makeBatch } from './batch.ts';
import { Decoder } from './decoder.ts';

describe('Decoder', () => {
  let decoder: Decoder<PlainMatrix>;
  beforeAll(async () => {
    const text = tinyConfig('deepseek-v3');
    const list = readFileSync(dataPath('tiny/deepseek-v3/tensors.json'), 'utf8');
    const files = await checkpointFiles(text, tinyTensors(JSON.parse(list)), 1);
    const ops = new PlainOperations();
    const config = parseConfig(text);
    decoder = new Decoder(config, ops, await loadWeights(files, config, ops));
  });

  const prompt = Int32Array.from({ length: 70 }, (_, i) => (i * 37) % 512);
  const lastLogits = async (parts: [number, number][]) => {
    const cache = decoder.createCache(2);
    let logits: Float32Array = new Float32Array(0);
    for (const [start, end] of parts) {
      const batch = makeBatch([{ tokens: prompt.subarray(start, end), start, pages: [1, 0] }]);
      ({ logits } = await decoder.forward(batch, cache, Int32Array.of(end - start - 1)));
    }
    return logits;
  };

  it('gives the same for a prompt at once, in chunks, and token by token at its end', async () => {
    const whole = await lastLogits([[0, 70]]);
    for (const parts of [
      [
        [0, 64],
        [64, 70],
      ],
      [
        [0, 69],
        [69, 70],
      ],
    ] satisfies [number, number][][]) {
      const logits = await lastLogits(parts);
      const off = logits.map((value, i) => Math.abs(value - (whole[i] as number)));
      expect(Math.max(...off)).toBeLessThan(1e-5);
    }
  });

  it('gives a sequence the same bits whatever else is in the batch', async () => {
    const run = async (others: number[]) => {
      const cache = decoder.createCache(8);
      const sequence = (length: number, page: number) => ({
        tokens: prompt.subarray(0, length),
        start: 0,
        pages: [page, page + 1],
      });
      const parts = [...others.map((n, i) => sequence(n, 2 * i)), sequence(9, 6)];
      const batch = makeBatch(parts);
      const row = batch.tokens.length - 1;
      const { logits } = await decoder.forward(batch, cache, Int32Array.of(row));
      // Then a step of one token for each.
      const next = makeBatch(
        parts.map(({ tokens, pages }) => ({ tokens: [5], start: tokens.length, pages })),
      );
      const last = Int32Array.of(parts.length - 1);
      return [logits, (await decoder.forward(next, cache, last)).logits];
    };
    const alone = await run([]);
    expect(await run([1])).toEqual(alone);
    expect(await run([3, 66, 10])).toEqual(alone);
  });
});
