import { beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '../../../runtime/device/device.ts';
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

describe('quantizeKvCache', () => {
  it('makes v32 rows without gaps and pads model1 blocks to a multiple of 576 bytes', () => {
    const rows = device.empty([7, 5, 1, 576], 'bf16');
    const v32 = quantizeKvCache({ kCache: rows, layout: 'v32' });
    expect([v32.shape, v32.strides]).toEqual([
      [7, 5, 1, 656],
      [3280, 656, 656, 1],
    ]);
    expect(backend.calls[0]).toMatchObject({
      operation: 'quantizeKvCache',
      args: { layout: 'v32' },
    });
    const half = device.empty([7, 5, 1, 512], 'bf16');
    const model1 = quantizeKvCache({ kCache: half, layout: 'model1' });
    expect([model1.shape, model1.strides]).toEqual([
      [7, 5, 1, 584],
      [3456, 584, 584, 1],
    ]);
    expect(backend.calls[1]?.args).toMatchObject({ source: half, target: model1 });
    const before = backend.live.size;
    model1.dispose();
    expect(backend.live.size).toBe(before - 1);
  });

  it('writes to the cache that it is given', () => {
    const out = device.empty([2, 3, 1, 584], 'u8');
    const kCache = device.empty([2, 3, 1, 512], 'bf16');
    expect(quantizeKvCache({ kCache, layout: 'model1', out })).toBe(out);
  });

  it.each([
    ['layout', { layout: 'bf16' }],
    ['layout', { layout: undefined }],
    ['page', { page: 64 }],
    ['kCache', { kCache: 'f16' }],
    ['kCache', { kCache: undefined }],
    ['kCache.shape[2]', { kCache: [2, 3, 2, 576] }],
    ['kCache.shape[3]', { kCache: [2, 3, 1, 512] }],
    ['kCache.shape[1]', { kCache: [2, 0, 1, 576] }],
    ['kCache', { kCache: 'strided' }],
    ['out.shape[0]', { out: [1, 3, 1, 656] }],
    ['out.shape[1]', { out: [2, 2, 1, 656] }],
    ['out.shape[3]', { out: [2, 3, 1, 584] }],
    ['out', { out: 5 }],
  ] as [string, Record<string, unknown>][])('refuses a wrong %s: %j', (argument, changes) => {
    const make = (name: string, value: unknown) => {
      if (Array.isArray(value)) return device.empty(value, name === 'out' ? 'u8' : 'bf16');
      if (value === 'f16') return device.empty([2, 3, 1, 576], 'f16');
      if (value === 'strided') return device.empty([2, 3, 1, 584], 'bf16').slice(3, 0, 576);
      return value;
    };
    const right = { kCache: device.empty([2, 3, 1, 576], 'bf16'), layout: 'v32' };
    const changed = Object.entries(changes).map(([name, value]) => [name, make(name, value)]);
    const call = { ...right, ...Object.fromEntries(changed) };
    expectRefusal(backend, () => quantizeKvCache(call as never), argument);
  });

  it('frees its result when the backend fails and keeps the caller’s', () => {
    const kCache = device.empty([2, 3, 1, 576], 'bf16');
    const out = device.empty([2, 3, 1, 656], 'u8');
    backend.failing = 'quantizeKvCache';
    expect(() => quantizeKvCache({ kCache, layout: 'v32' })).toThrow('quantizeKvCache fails');
    expect(() => quantizeKvCache({ kCache, layout: 'v32', out })).toThrow('quantizeKvCache fails');
    expect(backend.live.size).toBe(2);
  });
});

describe('dequantizeKvCache', () => {
  it('takes padded blocks and gives contiguous rows', () => {
    const packed = quantizeKvCache({
      kCache: device.empty([7, 5, 1, 512], 'bf16'),
      layout: 'model1',
    });
    const rows = dequantizeKvCache({ kCache: packed, layout: 'model1' });
    expect([rows.shape, rows.dtype, rows.isContiguous]).toEqual([[7, 5, 1, 512], 'bf16', true]);
    expect(backend.calls[1]?.args).toMatchObject({
      layout: 'model1',
      source: packed,
      target: rows,
    });
  });

  it('refuses what is not packed so', () => {
    const kCache = device.empty([2, 3, 1, 656], 'u8');
    const refuse = (changes: object, argument: string) => {
      const call = { kCache, layout: 'v32', ...changes };
      expectRefusal(backend, () => dequantizeKvCache(call as never), argument);
    };
    refuse({ layout: 'model1' }, 'kCache.shape[3]');
    refuse({ layout: 32 }, 'layout');
    refuse({ kCache: device.empty([2, 3, 1, 576], 'bf16') }, 'kCache');
    refuse({ out: device.empty([2, 3, 1, 512], 'bf16') }, 'out');
    refuse({ out: device.empty([2, 3, 1, 576], 'f16') }, 'out');
  });
});
