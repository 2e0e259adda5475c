import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from '@flash-mla/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CubinCache, cubinKey, nodeFiles } from './cubin-cache.ts';
import { cacheSettings } from './settings.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'flash-mla-cache-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const code = new Uint8Array(1000).map((_, i) => i * 7);
const key = cubinKey('.version 8.0', 'cuda 13000 sm_90');
const open = (maxBytes = 2 ** 20) => new CubinCache({ directory, maxBytes });
const fileOf = (name: string) => join(directory, `${name}.cubin`);

describe('the cubin cache', () => {
  it('gives back what was written, also in another process', () => {
    open().write(key, code);
    expect(open().read(key)).toEqual(code);
    expect(open().read(cubinKey('.version 8.1', 'cuda 13000 sm_90'))).toBeUndefined();
    expect(open().read(cubinKey('.version 8.0', 'cuda 12080 sm_90'))).toBeUndefined();
  });

  it('makes its directory', () => {
    const deep = new CubinCache({ directory: join(directory, 'a', 'b'), maxBytes: 2 ** 20 });
    deep.write(key, code);
    expect(deep.read(key)).toEqual(code);
  });

  it.each([
    ['a flipped bit', (path: string) => flip(path, 500)],
    ['a flipped bit of the checksum', (path: string) => flip(path, 12)],
    ['a cut file', (path: string) => truncateSync(path, 300)],
    ['an empty file', (path: string) => truncateSync(path, 0)],
    ['another kind of file', (path: string) => writeFileSync(path, 'ELF'.repeat(100))],
  ])('ignores and removes an entry damaged by %s', (_, damage) => {
    open().write(key, code);
    damage(fileOf(key));
    expect(open().read(key)).toBeUndefined();
    expect(readdirSync(directory)).toEqual([]);
    open().write(key, code);
    expect(open().read(key)).toEqual(code);
  });

  it('keeps within its bound by removing what was used least recently', () => {
    const cache = open(4500);
    const keys = ['a', 'b', 'c', 'd'].map((name) => cubinKey(name, ''));
    keys.forEach((each, i) => {
      cache.write(each, code);
      const time = new Date(Date.now() - 60_000 + i * 1000);
      utimesSync(fileOf(each), time, time);
    });
    cache.read(keys[0] as string);
    cache.write(cubinKey('e', ''), code);
    expect(keys.map((each) => cache.read(each) !== undefined)).toEqual([true, false, false, true]);
    expect(cache.read(cubinKey('e', ''))).toEqual(code);
  });

  it('removes what a killed process left half written, but not what another is writing', () => {
    const old = join(directory, 'old.tmp');
    const fresh = join(directory, 'fresh.tmp');
    writeFileSync(old, 'x');
    writeFileSync(fresh, 'x');
    utimesSync(old, 1, 1);
    open().write(key, code);
    expect(readdirSync(directory).sort()).toEqual([`${key}.cubin`, 'fresh.tmp'].sort());
  });

  it('keeps nothing where the bound is 0', () => {
    open(0).write(key, code);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('works without a directory that can be made', () => {
    writeFileSync(join(directory, 'file'), '');
    const cache = new CubinCache({ directory: join(directory, 'file', 'sub'), maxBytes: 2 ** 20 });
    cache.write(key, code);
    expect(cache.read(key)).toBeUndefined();
  });
});

describe('a folder that others could write to', () => {
  it('is not made', () => {
    const before = process.umask(0);
    const deep = join(directory, 'a', 'b');
    new CubinCache({ directory: deep, maxBytes: 2 ** 20 }).write(key, code);
    process.umask(before);
    for (const folder of [deep, join(directory, 'a')]) {
      expect(statSync(folder).mode & 0o777).toBe(0o700);
    }
  });

  it.each([0o777, 0o770, 0o702])('is not used: mode %o', (mode) => {
    open().write(key, code);
    chmodSync(directory, mode);
    const cache = open();
    expect(cache.read(key)).toBeUndefined();
    cache.write(cubinKey('other', ''), code);
    cache.remove(key);
    expect(readdirSync(directory)).toEqual([`${key}.cubin`]);
    expect(cache.state).toMatch(/^off: others may write to .*chmod 700/);
    chmodSync(directory, 0o755);
    expect(cache.read(key)).toEqual(code);
    expect(cache.state).toBe(directory);
  });

  it('is not used where it belongs to somebody else', () => {
    open().write(key, code);
    const uid = statSync(directory).uid + 1;
    const files = { ...nodeFiles, statSync: () => ({ uid, mode: 0o40700 }) };
    const cache = new CubinCache({ directory, maxBytes: 2 ** 20 }, files);
    expect(cache.read(key)).toBeUndefined();
    cache.write(cubinKey('other', ''), code);
    expect(readdirSync(directory)).toEqual([`${key}.cubin`]);
    expect(cache.state).toMatch(/^off: .* belongs to another user/);
  });
});

describe('no cache', () => {
  it('is kept where there is no place for one', () => {
    const cache = new CubinCache({ directory: undefined, maxBytes: 2 ** 20 });
    cache.write(key, code);
    expect(cache.read(key)).toBeUndefined();
    expect(cache.state).toMatch(/^off: the user has no home/);
  });
});

describe('a disk that refuses', () => {
  const refuse = (reason: string) => () => {
    throw Object.assign(new Error(reason), { code: reason });
  };

  it('by being full costs the entry, and leaves no half of it', () => {
    const files = {
      ...nodeFiles,
      writeFileSync: (path: string, data: Uint8Array) => {
        writeFileSync(path, data.subarray(0, 10));
        refuse('ENOSPC')();
      },
    };
    const cache = new CubinCache({ directory, maxBytes: 2 ** 20 }, files);
    cache.write(key, code);
    expect(readdirSync(directory)).toEqual([]);
    expect(cache.read(key)).toBeUndefined();
  });

  it('by being read-only still gives what is there', () => {
    open().write(key, code);
    const files = {
      ...nodeFiles,
      writeFileSync: refuse('EROFS'),
      mkdirSync: refuse('EROFS'),
      utimesSync: refuse('EROFS'),
      rmSync: refuse('EROFS'),
      renameSync: refuse('EROFS'),
    };
    const cache = new CubinCache({ directory, maxBytes: 2 ** 20 }, files);
    expect(cache.read(key)).toEqual(code);
    cache.write(cubinKey('other', ''), code);
    flip(fileOf(key), 100);
    expect(cache.read(key)).toBeUndefined();
  });
});

describe('where the cache is', () => {
  const at = (platform: string, variables: Record<string, string>) =>
    cacheSettings({ platform, variables }).directory;

  it('follows the environment and each platform’s custom', () => {
    expect(at('linux', { FLASH_MLA_CACHE_DIR: '/c', XDG_CACHE_HOME: '/x' })).toBe('/c/cubin');
    expect(at('linux', { XDG_CACHE_HOME: '/x' })).toBe('/x/flash-mla/cubin');
    expect(at('linux', {})).toMatch(/\.cache\/flash-mla\/cubin$/);
    expect(at('win32', { LOCALAPPDATA: '/l' })).toMatch(/flash-mla.Cache.cubin$/);
  });

  it('refuses a bound that is no number', () => {
    const variables = { FLASH_MLA_CACHE_MB: 'lots' };
    expect(() => cacheSettings({ platform: 'linux', variables })).toThrow(InvalidArgumentError);
  });
});

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  mkdirSync(directory, { recursive: true });
  writeFileSync(path, bytes);
}
