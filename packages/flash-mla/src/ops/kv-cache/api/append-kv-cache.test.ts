import type { DType } from '@flash-mla/core';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '../../../runtime/device/device.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../../attention/api/testing/refusal.ts';
import { appendKvCache } from './append-kv-cache.ts';
import { quantizeKvCache } from './quantize-kv-cache.ts';

let device: Device;
let backend: RecordingBackend;

beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

const last = () => backend.calls.at(-1) as { operation: string; args: Record<string, unknown> };

describe('appendKvCache', () => {
  it.each<[string, DType, number[], number[]]>([
    ['plain', 'bf16', [4, 16, 1, 576], [3, 1, 576]],
    ['plain', 'f16', [4, 16, 2, 40], [3, 2, 40]],
    ['plain', 'e4m3', [4, 16, 1, 7], [3, 1, 7]],
    ['v32', 'u8', [4, 16, 1, 656], [3, 1, 576]],
    ['model1', 'u8', [4, 16, 1, 584], [3, 1, 512]],
  ])('takes %s rows of a cache of %s', (layout, dtype, cacheShape, rowShape) => {
    const kCache = device.empty(cacheShape, dtype) as never;
    const rows = device.empty(rowShape, dtype === 'u8' ? 'bf16' : dtype) as never;
    for (const slots of [device.empty([3], 'i32'), device.empty([3], 'i64')]) {
      expect(appendKvCache({ kCache, rows, slots })).toBe(kCache);
      expect(last()).toEqual({ operation: 'appendKvCache', args: { layout, kCache, rows, slots } });
    }
  });

  it('takes rows without a dimension of heads, in any outer strides', () => {
    const kCache = device.empty([4, 16, 1, 656], 'u8');
    const rows = device.empty([6, 700], 'bf16').slice(1, 8, 584);
    appendKvCache({ kCache, rows, slots: device.empty([6], 'i32'), layout: 'v32' });
    expect(last().args.rows).toMatchObject({ shape: [6, 1, 576], byteOffset: 16 });
    expect((last().args.rows as { strides: number[] }).strides[0]).toBe(700);
  });

  it('takes padded tokens and blocks, and model1 blocks of a cache', () => {
    const rows = device.empty([2, 512], 'bf16');
    const slots = device.empty([2], 'i32');
    const plain = device.emptyStrided([4, 16, 1, 512], [20 * 520, 520, 520, 1], 'bf16');
    expect(appendKvCache({ kCache: plain, rows, slots })).toBe(plain);
    const source = device.empty([4, 16, 1, 512], 'bf16');
    const model1 = quantizeKvCache({ kCache: source, layout: 'model1' });
    const blocks = model1.slice(0, 1, 3);
    expect(appendKvCache({ kCache: blocks, rows, slots, layout: 'model1' })).toBe(blocks);
  });

  it('enqueues nothing for no rows', () => {
    const kCache = device.empty([4, 16, 1, 576], 'bf16');
    const rows = device.empty([0, 1, 576], 'bf16');
    expect(appendKvCache({ kCache, rows, slots: device.empty([0], 'i32') })).toBe(kCache);
    expect(backend.calls).toEqual([]);
  });

  type Make = (d: Device) => unknown;
  it.each<[argument: string, what: string, changes: Record<string, Make>]>([
    ['options', 'no object', {}],
    ['pages', 'an unknown name', { pages: () => 1 }],
    ['kCache', 'no tensor', { kCache: () => 5 }],
    ['kCache', 'three dimensions', { kCache: (d) => d.empty([2, 16, 576], 'bf16') }],
    ['kCache', 'another dtype', { kCache: (d) => d.empty([2, 16, 1, 576], 'f32') }],
    ['kCache.shape[3]', 'no packed width', { kCache: (d) => d.empty([2, 16, 1, 576], 'u8') }],
    ['kCache.shape[2]', 'packed heads', { kCache: (d) => d.empty([2, 16, 2, 656], 'u8') }],
    ['kCache.shape[0]', 'no blocks', { kCache: (d) => d.empty([0, 16, 1, 576], 'bf16') }],
    [
      'kCache',
      'columns apart',
      { kCache: (d) => d.emptyStrided([2, 16, 1, 576], [20000, 1200, 1200, 2], 'bf16') },
    ],
    [
      'kCache.strides',
      'blocks on top of each other',
      { kCache: (d) => d.emptyStrided([2, 16, 1, 576], [576, 576, 576, 1], 'bf16') },
    ],
    [
      'kCache.strides',
      'one row for all tokens',
      { kCache: (d) => d.emptyStrided([2, 16, 1, 576], [576, 0, 576, 1], 'bf16') },
    ],
    [
      'kCache.strides',
      'packed rows on top of each other',
      {
        kCache: (d) => d.emptyStrided([2, 16, 1, 656], [16 * 656, 640, 656, 1], 'u8'),
      },
    ],
    [
      'kCache',
      'part of model1 blocks',
      {
        kCache: (d) => d.empty([2, 32, 1, 584], 'u8').slice(1, 16, 32),
        rows: (d) => d.empty([3, 512], 'bf16'),
      },
    ],
    ['layout', 'another layout', { layout: () => 'v32' }],
    ['layout', 'no layout', { layout: () => 3 }],
    [
      'layout',
      'the other packed layout',
      { kCache: (d) => d.empty([2, 16, 1, 656], 'u8'), layout: () => 'model1' },
    ],
    ['rows', 'no rows', { rows: () => undefined }],
    ['rows', 'another dtype', { rows: (d) => d.empty([3, 1, 576], 'f16') }],
    ['rows.shape[2]', 'another width', { rows: (d) => d.empty([3, 1, 512], 'bf16') }],
    ['rows.shape[1]', 'another width', { rows: (d) => d.empty([3, 512], 'bf16') }],
    ['rows.shape[1]', 'other heads', { rows: (d) => d.empty([3, 2, 576], 'bf16') }],
    [
      'rows',
      'no dimension of several heads',
      { kCache: (d) => d.empty([2, 16, 2, 576], 'bf16'), rows: (d) => d.empty([3, 576], 'bf16') },
    ],
    ['rows', 'four dimensions', { rows: (d) => d.empty([3, 1, 1, 576], 'bf16') }],
    ['rows', 'columns apart', { rows: (d) => d.emptyStrided([3, 576], [1200, 2], 'bf16') }],
    [
      'rows.shape[1]',
      'packed rows',
      { kCache: (d) => d.empty([2, 16, 1, 656], 'u8'), rows: (d) => d.empty([3, 656], 'bf16') },
    ],
    ['slots', 'no slots', { slots: () => null }],
    ['slots', 'another dtype', { slots: (d) => d.empty([3], 'f32') }],
    ['slots', 'another length', { slots: (d) => d.empty([4], 'i32') }],
    ['slots', 'two dimensions', { slots: (d) => d.empty([3, 1], 'i64') }],
    ['slots', 'slots apart', { slots: (d) => d.emptyStrided([3], [2], 'i32') }],
    ['slots', 'slots elsewhere', { slots: () => recordingDevice('sim').device.empty([3], 'i32') }],
    [
      'rows',
      'rows elsewhere',
      { rows: () => recordingDevice('sim').device.empty([3, 576], 'bf16') },
    ],
  ])('refuses %s: %s', (argument, _what, changes) => {
    const right = {
      kCache: device.empty([2, 16, 1, 576], 'bf16'),
      rows: device.empty([3, 1, 576], 'bf16'),
      slots: device.empty([3], 'i32'),
    };
    const changed = Object.entries(changes).map(([name, make]) => [name, make(device)]);
    const call = argument === 'options' ? 7 : { ...right, ...Object.fromEntries(changed) };
    expectRefusal(backend, () => appendKvCache(call as never), argument);
  });
});
