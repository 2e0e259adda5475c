import { describe, expect, it } from 'vitest';
import { swapInSharedLayout } from './shared-layout.ts';

describe('the shared memory of a swap-in', () => {
  it.each([
    [2048, 4096, 42_000, false],
    [2048, 6144, 46_608, false],
    [2048, 8192, 51_216, true],
    [512, 512, 9_360, false],
    [1, 1, 80, false],
  ])('top_k %i, buffer %i: %i bytes', (topK, bufferSize, bytes, needsOptIn) => {
    expect(swapInSharedLayout({ topK, bufferSize })).toMatchObject({ bytes, needsOptIn });
  });

  it('has room for twice the top-k in its hash table, for each slot and each token', () => {
    for (let topK = 1; topK < 3000; topK += 37) {
      const { shared, numBuckets } = swapInSharedLayout({ topK, bufferSize: topK });
      expect(numBuckets).toBeGreaterThanOrEqual(2 * topK);
      expect(Number.isInteger(Math.log2(numBuckets))).toBe(true);
      const shapes = shared.fields.map(({ shape }) => shape[0]);
      const groups = Math.ceil(topK / 32);
      expect(shapes).toEqual([numBuckets, numBuckets, groups, groups + 1, topK]);
    }
  });
});
