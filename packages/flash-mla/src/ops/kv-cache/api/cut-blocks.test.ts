import { InvalidArgumentError } from '@flash-mla/core';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '../../../runtime/device/device.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { flashMlaWithKvCache } from '../../attention/api/flash-mla-with-kv-cache.ts';
import { getMlaMetadata } from '../../attention/api/get-mla-metadata.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../../attention/api/testing/refusal.ts';
import { dequantizeKvCache, quantizeKvCache } from './quantize-kv-cache.ts';

let device: Device;
let backend: RecordingBackend;

beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

/** A cache of 4 blocks with 64 tokens as quantizeKvCache makes it. */
function packed(layout: 'v32' | 'model1'): Tensor<'u8'> {
  const columns = layout === 'v32' ? 576 : 512;
  return quantizeKvCache({ kCache: device.empty([4, 64, 1, columns], 'bf16'), layout });
}

describe('a model1 cache of this library', () => {
  it.each<[string, (cache: Tensor<'u8'>) => unknown]>([
    ['part of the tokens', (cache) => cache.slice(1, 0, 32)],
    ['one token', (cache) => cache.slice(0, 2, 3).slice(1, 5, 6)],
    ['no token', (cache) => cache.slice(1, 3, 3)],
    ['other pages', (cache) => cache.asStrided([4, 32, 1, 584], cache.strides)],
    [
      'blocks that begin inside others',
      (cache) => cache.asStrided([3, 64, 1, 584], cache.strides, 584),
    ],
    [
      'blocks at other distances',
      (cache) => cache.asStrided([2, 64, 1, 584], [64 * 584, 584, 584, 1]),
    ],
    [
      'other pages of its bytes',
      (cache) =>
        cache
          .asStrided([4 * 65 * 576], [1])
          .reshape([260, 576])
          .asStrided([8, 32, 1, 584], [32 * 584, 584, 584, 1]),
    ],
  ])('has no views of %s', (_, view) => {
    const cache = packed('model1');
    expect(() => view(cache)).toThrow(InvalidArgumentError);
    expect(() => view(cache)).toThrow(/whole model1 blocks of 64 tokens.*appendKvCache/);
  });

  it('has views of blocks and of bytes', () => {
    const cache = packed('model1');
    const layout = 'model1';
    const views = [
      cache,
      cache.slice(0, 1, 3),
      cache.slice(1, 0, 64),
      cache.slice(0, 1, 4).asStrided([1, 64, 1, 584], cache.strides, cache.stride(0)),
      cache.asStrided([2, 64, 1, 584], [2 * cache.stride(0), 584, 584, 1], cache.stride(0)),
    ];
    for (const kCache of views) expect(() => dequantizeKvCache({ kCache, layout })).not.toThrow();
    expect(cache.asStrided([4 * cache.stride(0)], [1]).slice(0, 0, 584).size).toBe(584);
    expect(cache.slice(3, 0, 448).shape).toEqual([4, 64, 1, 448]);
  });
});

describe('part of the tokens of a tensor that is used as a model1 cache', () => {
  const makers: [string, (device: Device) => Tensor<'u8'>][] = [
    ['tensor()', (d) => d.tensor(new Uint8Array(4 * 64 * 584), [4, 64, 1, 584], 'u8')],
    ['empty()', (d) => d.empty([4, 64, 1, 584], 'u8')],
    ['emptyStrided()', (d) => d.emptyStrided([4, 64, 1, 584], [37440, 584, 584, 1], 'u8')],
  ];
  const q = () => device.empty([1, 1, 4, 512], 'bf16');
  const indices = () => device.empty([1, 1, 4], 'i32');
  const layout = 'model1';

  it.each(makers)('of %s is refused by every operation', (_, make) => {
    const kCache = make(device).slice(1, 0, 32);
    const whole = make(device);
    const message = /whole model1 blocks of 64 tokens/;
    const schedMeta = getMlaMetadata()[0];
    const common = { q: q(), indices: indices(), headDimV: 512, schedMeta };
    expectRefusal(backend, () => flashMlaWithKvCache({ ...common, kCache }), 'kCache', message);
    const extra = { extraKCache: kCache, extraIndicesInKvCache: indices() };
    const both = { ...common, kCache: whole, ...extra };
    expectRefusal(backend, () => flashMlaWithKvCache(both), 'extraKCache', message);
    expectRefusal(backend, () => dequantizeKvCache({ kCache, layout }), 'kCache', message);
    const rows = device.empty([4, 32, 1, 512], 'bf16');
    const into = { kCache: rows, layout, out: kCache } as const;
    expectRefusal(backend, () => quantizeKvCache(into), 'out', message);
  });

  it('is refused after more views, while whole blocks are taken', () => {
    const cache = device.empty([4, 64, 1, 584], 'u8');
    const refused = [
      cache.slice(1, 5, 6).slice(0, 2, 3),
      cache.slice(0, 2, 3).slice(1, 5, 6),
      cache.reshape([8, 32, 1, 584]),
      cache.reshape([4 * 64 * 584]).reshape([2, 128, 1, 584]),
    ];
    for (const kCache of refused) {
      expectRefusal(backend, () => dequantizeKvCache({ kCache, layout }), 'kCache');
    }
    for (const kCache of [
      cache.slice(0, 2, 3),
      cache.slice(1, 0, 64),
      cache.reshape(cache.shape),
    ]) {
      expect(() => dequantizeKvCache({ kCache, layout })).not.toThrow();
    }
  });

  it('is not asked for where the memory was never a cache', () => {
    const bytes = device.empty([8 * 32 * 584], 'u8');
    const kCache = bytes.asStrided([8, 32, 1, 584], [32 * 584, 584, 584, 1]);
    expect(() => dequantizeKvCache({ kCache, layout })).not.toThrow();
  });
});

describe('part of the tokens of a v32 cache', () => {
  it('is a cache, because its rows carry their scales', () => {
    const cache = packed('v32');
    const kCache = cache.slice(1, 8, 40);
    const rows = dequantizeKvCache({ kCache, layout: 'v32' });
    expect(rows.shape).toEqual([4, 32, 1, 576]);
    const row = device.empty([1, 1, 1, 576], 'bf16');
    const out = cache.slice(0, 2, 3).slice(1, 5, 6);
    expect(quantizeKvCache({ kCache: row, layout: 'v32', out })).toBe(out);
    expect(() => cache.slice(3, 0, 512)).not.toThrow(InvalidArgumentError);
  });
});
