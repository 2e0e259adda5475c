import { describe, expect, it } from 'vitest';
import { Engine } from '../engine.ts';
import { EngineOptionError } from '../errors.ts';
import { parseHiSparseConfig } from './options.ts';
import type { PageTransfers } from './transfers.ts';

const v32 = { indexTopK: 2048, pageSize: 64 };

describe('the configuration of HiSparse', () => {
  it('has defaults by model', () => {
    expect(parseHiSparseConfig('{}', v32)).toEqual({
      topK: 2048,
      deviceBufferSize: 4096,
      hostToDeviceRatio: 2,
      swapInBlockSize: 512,
    });
    // Twice the top-k, in whole pages.
    const small = parseHiSparseConfig('{}', { indexTopK: 100, pageSize: 64 });
    expect(small).toMatchObject({ topK: 100, deviceBufferSize: 256 });
  });

  it('takes what is given', () => {
    const json = `{
      "top_k": 2048, "device_buffer_size": 6144, "host_to_device_ratio": 5.5, "swap_in_block_size": 960
    }`;
    expect(parseHiSparseConfig(json, v32)).toEqual({
      topK: 2048,
      deviceBufferSize: 6144,
      hostToDeviceRatio: 5.5,
      swapInBlockSize: 960,
    });
  });

  it.each([
    ['', 'a JSON object'],
    ['{"top_k": 2048', 'a JSON object'],
    ['[]', 'a JSON object'],
    ['null', 'a JSON object'],
    ['2048', 'a JSON object'],
    ['{"topK": 2048}', 'expected top_k, device_buffer_size'],
    ['{"top_k": "2048"}', 'top_k of HiSparse: expected a number, got "2048"'],
    ['{"device_buffer_size": null}', 'a number'],
    ['{"top_k": 1024}', "2048, which the model's indexer chooses, got 1024"],
    ['{"device_buffer_size": 2047}', '2048 (topK) to 32767 slots'],
    ['{"device_buffer_size": 32768}', '2048 (topK) to 32767 slots'],
    ['{"device_buffer_size": 4100}', 'a multiple of the page size 64'],
    ['{"device_buffer_size": 2048.5}', 'a positive integer'],
    ['{"host_to_device_ratio": 0.5}', 'a number of at least 1'],
    ['{"host_to_device_ratio": 1e999}', 'a number of at least 1'],
    ['{"swap_in_block_size": 0}', 'a multiple of 32 from 32 to 1024'],
    ['{"swap_in_block_size": 100}', 'a multiple of 32 from 32 to 1024'],
    ['{"swap_in_block_size": 1056}', 'a multiple of 32 from 32 to 1024'],
  ])('%s is refused', (json, reason) => {
    const parse = () => parseHiSparseConfig(json, v32);
    expect(parse).toThrow(EngineOptionError);
    expect(parse).toThrow(reason);
  });

  it('has threads enough for a large top-k', () => {
    const parse = () =>
      parseHiSparseConfig('{"swap_in_block_size": 32}', { indexTopK: 4096, pageSize: 64 });
    expect(parse).toThrow('a multiple of 32 from 64 to 1024');
  });

  it('is refused for a model without an indexer', () => {
    const parse = () => parseHiSparseConfig('{}', { indexTopK: undefined, pageSize: 64 });
    expect(parse).toThrow('one with an indexer (index_topk), got one without');
  });
});

describe('an engine with HiSparse', () => {
  const run = async () => ({ tokens: [], durationMs: 1 });
  const transfers: PageTransfers = { store: async () => {}, load: async () => {} };
  const hisparse = { topK: 8, deviceBufferSize: 32, hostToDeviceRatio: 2, swapInBlockSize: 32 };
  const options = { totalPages: 10, pageSize: 8, maxModelLength: 100, hisparse };

  it('needs a runner that can copy', () => {
    const open = () => new Engine({ run }, options);
    expect(open).toThrow(EngineOptionError);
    expect(open).toThrow('expected transfers between the host and the device, got none');
  });

  it('needs room for a hot buffer', () => {
    const open = (totalPages: number) => new Engine({ run, transfers }, { ...options, totalPages });
    expect(() => open(5)).toThrow('expected at least 40 tokens (one hot buffer), got 32');
    const { stats } = open(6);
    expect(stats.pages.total).toBe(11);
    expect(stats.hisparse).toEqual({
      device: { totalTokens: 40, usedTokens: 0 },
      host: { totalTokens: 88, usedTokens: 0 },
      ...{ staging: 0, hitRate: undefined, hits: 0, misses: 0, bytesSwappedIn: 0 },
    });
  });
});
