import { describe, expect, it } from 'vitest';
import {
  cacheBytes,
  type LoopSettings,
  newTokens,
  pagesOf,
  promptLengths,
  workOf,
} from './settings.ts';

const settings: LoopSettings = {
  ...{ layout: 'bf16', batch: 4, heads: 16, tokens: 1000, spread: 0.5, topk: 64, page: 64 },
};

describe('the decode loop in numbers', () => {
  it('spreads prompts from the longest down', () => {
    expect(promptLengths(settings)).toEqual([1000, 875, 750, 625]);
    expect(promptLengths({ ...settings, spread: 0 })).toEqual([1000, 1000, 1000, 1000]);
    expect(Math.min(...promptLengths({ ...settings, tokens: 1, spread: 1 }))).toBe(1);
  });

  it('has pages for every request at its longest', () => {
    const longest = promptLengths(settings).map((n, i) => n + newTokens(i));
    const { blocks, maxBlocks } = pagesOf(settings);
    expect(maxBlocks).toBe(Math.max(...longest.map((n) => Math.ceil(n / 64))));
    expect(blocks * 64).toBeGreaterThanOrEqual(longest.reduce((sum, n) => sum + n, 0));
    expect(cacheBytes(settings)).toBe(blocks * 64 * 1152);
  });

  it('counts as FlashMLA does, packed rows only as far as they are attended to', () => {
    expect(workOf(settings, [10, 20, 30, 40])).toEqual({
      flops: 2 * 16 * 100 * 1088,
      bytes: 100 * 1152 + 4 * 16 * 1088 * 2,
    });
    expect(workOf({ ...settings, layout: 'model1' }, [10, 20, 30, 400])).toEqual({
      flops: 2 * 16 * 124 * 1024,
      bytes: 124 * 584 + 4 * 16 * 1024 * 2,
    });
  });
});
