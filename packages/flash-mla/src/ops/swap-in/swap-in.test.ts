import { beforeEach, describe, expect, it } from 'vitest';
import { type Device, swapIn } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';

let device: Device;
let backend: RecordingBackend;
beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

const valid = (d: Device, requests = 3) => ({
  topK: d.empty([requests, 8], 'i32'),
  seqLens: d.empty([requests], 'i32'),
  rows: d.empty([requests], 'i64'),
  hostPages: d.empty([5, 10], 'i32'),
  bufferPages: d.empty([5, 3], 'i32'),
  slotTokens: d.empty([5, 8], 'i32'),
  lruOrder: d.empty([5, 16], 'u8'),
  hostCache: d.empty([50, 4, 1, 656], 'u8'),
  deviceCache: d.empty([20, 4, 1, 656], 'u8'),
});

describe('swapIn', () => {
  it('gives locations and the plan', () => {
    const { locations, plannedHostRows, plannedDeviceRows, missCounts } = swapIn(valid(device));
    for (const rows of [locations, plannedHostRows, plannedDeviceRows])
      expect(rows).toMatchObject({ dtype: 'i32', shape: [3, 8] });
    expect(missCounts).toMatchObject({ dtype: 'i32', shape: [3] });
    expect(backend.calls).toHaveLength(1);
    swapIn(valid(device, 0));
    expect(backend.calls).toHaveLength(1);
  });

  it.each<[string, string, (d: Device) => object]>([
    ['topK', 'of another dtype', (d) => ({ topK: d.empty([3, 8], 'i64') })],
    ['topK.shape[1]', 'without entries', (d) => ({ topK: d.empty([3, 0], 'i32') })],
    ['topK', 'apart', (d) => ({ topK: d.emptyStrided([3, 8], [9, 1], 'i32') })],
    ['seqLens', 'of another dtype', (d) => ({ seqLens: d.empty([3], 'f32') })],
    ['rows', 'of another length', (d) => ({ rows: d.empty([4], 'i32') })],
    ['hostPages.shape[0]', 'of other rows', (d) => ({ hostPages: d.empty([4, 10], 'i32') })],
    ['hostPages.shape[1]', 'of no pages', (d) => ({ hostPages: d.empty([5, 0], 'i32') })],
    ['bufferPages', 'too narrow', (d) => ({ bufferPages: d.empty([5, 2], 'i32') })],
    ['slotTokens', 'below K', (d) => ({ slotTokens: d.empty([5, 4], 'i32') })],
    ['slotTokens', 'no multiple of P', (d) => ({ slotTokens: d.empty([5, 10], 'i32') })],
    ['slotTokens', 'beyond 16 bits', (d) => ({ slotTokens: d.empty([5, 32_768], 'i32') })],
    ['lruOrder', 'too short', (d) => ({ lruOrder: d.empty([5, 8], 'u8') })],
    ['hostCache', 'of another rank', (d) => ({ hostCache: d.empty([50, 4, 656], 'u8') })],
    ['hostCache', 'of two heads', (d) => ({ hostCache: d.empty([50, 4, 2, 656], 'u8') })],
    ['hostCache.shape[0]', 'without pages', (d) => ({ hostCache: d.empty([0, 4, 1, 656], 'u8') })],
    [
      'hostCache',
      'of odd rows',
      (d) => ({
        hostCache: d.empty([50, 4, 1, 584], 'u8'),
        deviceCache: d.empty([20, 4, 1, 584], 'u8'),
      }),
    ],
    ['deviceCache', 'of another dtype', (d) => ({ deviceCache: d.empty([20, 4, 1, 656], 'bf16') })],
    ['deviceCache', 'of other pages', (d) => ({ deviceCache: d.empty([20, 8, 1, 656], 'u8') })],
    ['blockSize', 'no multiple of 32', () => ({ blockSize: 100 })],
    ['blockSize', 'too large', () => ({ blockSize: 2048 })],
    ['locations', 'of another shape', (d) => ({ locations: d.empty([3, 7], 'i32') })],
    ['prefetch', 'unknown', () => ({ prefetch: true })],
  ])('refuses %s %s', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => swapIn(options as never), argument);
  });

  it('refuses outputs that overlap', () => {
    const locations = device.empty([3, 8], 'i32');
    const options = { ...valid(device), locations, plannedHostRows: locations };
    expectRefusal(backend, () => swapIn(options), 'plannedHostRows');
    const { hostCache } = valid(device);
    const same = { ...valid(device), hostCache, deviceCache: hostCache };
    expectRefusal(backend, () => swapIn(same), 'deviceCache');
  });
});
