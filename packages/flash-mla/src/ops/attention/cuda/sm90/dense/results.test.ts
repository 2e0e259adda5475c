import { decodeBf16, encodeBf16 } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { flashMlaWithKvCache, getMlaMetadata, openDevice } from '../../../../../index.ts';

const [numHeadsQ, headDimQk, headDimV, tokens] = [64, 576, 512, 256];

/** Attention with equal weights, so that an output is the mean of its column, over two splits. */
async function means(value: (token: number, column: number) => number) {
  await using device = await openDevice('sim:2');
  const cache = new Uint16Array(tokens * headDimQk);
  for (let t = 0; t < tokens; t++) {
    for (let c = 0; c < headDimV; c++) cache[t * headDimQk + c] = encodeBf16(value(t, c));
  }
  const q = new Uint16Array(numHeadsQ * headDimQk);
  const [schedMeta] = getMlaMetadata();
  const { out } = flashMlaWithKvCache({
    q: device.tensor(q, [1, 1, numHeadsQ, headDimQk], 'bf16'),
    kCache: device.tensor(cache, [tokens / 64, 64, 1, headDimQk], 'bf16'),
    blockTable: device.tensor(Int32Array.of(0, 1, 2, 3), [1, 4], 'i32'),
    cacheSeqlens: device.tensor(Int32Array.of(tokens), [1], 'i32'),
    headDimV,
    schedMeta,
  });
  const codes = new Uint16Array((await out.read()).buffer);
  const splits = new Int32Array((await schedMeta.numSplits?.read())?.buffer ?? new ArrayBuffer(8));
  return { splits: splits[1], outputs: Float64Array.from(codes, decodeBf16) };
}

describe('results of splits on Hopper', () => {
  it('keep small columns beside columns 10^6 times as large', async () => {
    const value = (t: number, c: number) =>
      decodeBf16(encodeBf16((1 + ((t * 7 + c) % 32) / 32) * (c % 2 === 0 ? 1 : 1e6)));
    const { splits, outputs } = await means(value);
    expect(splits).toBe(2);
    for (let i = 0; i < outputs.length; i++) {
      const column = i % headDimV;
      let sum = 0;
      for (let t = 0; t < tokens; t++) sum += value(t, column);
      const mean = sum / tokens;
      expect(Math.abs((outputs[i] ?? 0) - mean)).toBeLessThanOrEqual(2 ** -8 * mean);
    }
  });

  it('keep values far beyond the range of halves', async () => {
    const { splits, outputs } = await means((_, c) => (c === 300 ? 1e35 : 1e-35));
    expect(splits).toBe(2);
    for (let row = 0; row < numHeadsQ; row++) {
      expect(Math.abs((outputs[row * headDimV + 300] ?? 0) / 1e35 - 1)).toBeLessThan(2 ** -7);
    }
  });
});
