import { describe, expect, it } from 'vitest';
import { PagedCache } from './paged-cache.ts';

describe('PagedCache', () => {
  it('takes pages as requests grow and names the slots of tokens', () => {
    const cache = new PagedCache(2, 3, 4, [5, 1, 0, 2, 3, 4]);
    cache.grow(0, 5);
    cache.grow(1, 1);
    expect(cache.blocksOf(0).sort()).toEqual([1, 5]);
    expect(cache.blocksOf(1)).toEqual([0]);
    cache.grow(0, 8);
    expect(cache.blocksOf(0)).toHaveLength(2);
    cache.grow(0, 9);
    expect(cache.blocksOf(0)).toHaveLength(3);
    expect(cache.slotOf(1, 3)).toBe(3);
    expect(cache.slotOf(0, 6)).toBe(cache.blockOf(0, 6) * 4 + 2);
    expect([...cache.owners].filter((owner) => owner === 0)).toHaveLength(3);
  });

  it('gives pages back and says when there are none', () => {
    const cache = new PagedCache(2, 2, 1, [0, 1]);
    cache.grow(0, 2);
    expect(() => cache.grow(1, 1)).toThrow('No page is free for request 1.');
    cache.release(0);
    expect([...cache.owners]).toEqual([-1, -1]);
    expect([...cache.table.subarray(0, 2)]).toEqual([-1, -1]);
    cache.grow(1, 2);
    expect(cache.blocksOf(1).sort()).toEqual([0, 1]);
  });
});
