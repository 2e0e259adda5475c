import { describe, expect, it } from 'vitest';
import { EngineOptionError } from '../../errors.ts';
import { checkSharedBytes, swapInSharedLayout } from './shared-layout.ts';
import { checkSwapInSizes } from './sizes.ts';

describe('the shared memory of a swap-in', () => {
  it.each([
    [2048, 4096, 41_476, false],
    [2048, 6144, 45_828, false],
    [2048, 8192, 50_180, true],
    [512, 512, 9_284, false],
    [1, 1, 26, false],
  ])('top_k %i, buffer %i: %i bytes', (topK, bufferSize, bytes, needsOptIn) => {
    expect(swapInSharedLayout({ topK, bufferSize })).toMatchObject({ bytes, needsOptIn });
  });

  it('has room for twice the top-k in its hash table, for each slot and each token', () => {
    for (let topK = 1; topK < 3000; topK += 37) {
      const { fields, numBuckets } = swapInSharedLayout({ topK, bufferSize: topK });
      expect(numBuckets).toBeGreaterThanOrEqual(2 * topK);
      expect(Number.isInteger(Math.log2(numBuckets))).toBe(true);
      expect(fields.order.length).toBe(topK);
      expect(fields.hashTokens.length).toBe(fields.hashSlots.length);
    }
  });

  it('is refused where the device has less', () => {
    expect(() => checkSharedBytes({ topK: 2048, bufferSize: 8192 }, 49_152)).toThrow(
      'a swap-in with top_k 2048 and device_buffer_size 8192: expected at most 49152 bytes',
    );
    checkSharedBytes({ topK: 2048, bufferSize: 8192 }, 99 * 1024);
  });

  it.each([
    { topK: 0, bufferSize: 64, pageSize: 64 },
    { topK: 1.5, bufferSize: 64, pageSize: 64 },
    { topK: 65, bufferSize: 64, pageSize: 64 },
    { topK: 64, bufferSize: 100, pageSize: 64 },
    { topK: 64, bufferSize: 32_768, pageSize: 64 },
    { topK: 64, bufferSize: Number.NaN, pageSize: 64 },
    { topK: 64, bufferSize: 64, pageSize: 0 },
  ])('sizes that cannot be: %j', (sizes) => {
    expect(() => checkSwapInSizes(sizes)).toThrow(EngineOptionError);
  });
});
