import { describe, expect, it } from 'vitest';
import { KvCacheError } from '../errors.ts';
import { PageKeys, rootKey } from './page-key.ts';
import { PagePool } from './page-pool.ts';

describe('PagePool', () => {
  it('gives out pages without a key first, then the least recently used', () => {
    const pool = new PagePool(5);
    const pages = [0, 1, 2, 3].map(() => pool.allocate() ?? 0);
    expect(pages).toEqual([1, 2, 3, 4]);
    expect(pool.allocate()).toBeUndefined();
    for (const page of [1, 2, 3]) pool.publish(page, `k${page}`);
    for (const page of [2, 1, 4, 3]) pool.release(page);
    pool.retain(2);
    pool.release(2);
    expect(pool.freePages()).toEqual([4, 1, 3, 2]);
    expect([pool.allocate(), pool.allocate()]).toEqual([4, 1]);
    expect([pool.find('k1'), pool.find('k3')]).toEqual([undefined, 3]);
  });

  it('notices misuse', () => {
    const pool = new PagePool(3);
    expect(() => pool.release(1)).toThrow(KvCacheError);
    expect(() => pool.retain(1)).toThrow(KvCacheError);
    expect(() => pool.publish(1, 'k')).toThrow(KvCacheError);
    expect(() => pool.release(0)).toThrow(KvCacheError);
  });
});

describe('PageKeys', () => {
  const keysOf = (tokens: number[], tag = { model: 'm' }) =>
    new PageKeys(4, rootKey(tag)).extend(tokens);

  it('name the whole prefix, and nothing that is not full', () => {
    const keys = keysOf([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(keys).toHaveLength(2);
    expect(keysOf([1, 2, 3, 4, 5, 6, 7, 8])).toEqual(keys);
    const other = keysOf([0, 2, 3, 4, 5, 6, 7, 8]);
    expect(other[1]).not.toBe(keys[1]);
  });

  it('grow with the sequence', () => {
    const keys = new PageKeys(4, rootKey({ model: 'm' }));
    for (let length = 0; length <= 9; length++)
      keys.extend([1, 2, 3, 4, 5, 6, 7, 8, 9].slice(0, length));
    expect(keys.keys).toEqual(keysOf([1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });

  it('keep the fields of a tag apart', () => {
    const tags = [
      { model: 'a' },
      { model: 'a', salt: '' },
      { model: '', salt: 'a' },
      { model: '', scope: 'a' },
      { model: 'asalt:1:b' },
      { model: 'a', salt: 'b' },
    ];
    expect(new Set(tags.map(rootKey)).size).toBe(tags.length);
  });
});
