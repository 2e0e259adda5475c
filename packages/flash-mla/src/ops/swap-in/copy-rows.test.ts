import { beforeEach, describe, expect, it } from 'vitest';
import { copyRows, type Device, openDevice, swapIn } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { itAssembles } from '../kernel-lib/cuda/testing/assembly.ts';
import { portableCopyRows } from './cuda/sm80_copy_rows_launch.ts';

describe('the arguments of copyRows', () => {
  let device: Device;
  let backend: RecordingBackend;
  beforeEach(() => {
    ({ device, backend } = recordingDevice());
  });

  const valid = (d: Device, requests = 3) => ({
    source: d.empty([50, 4, 1, 656], 'u8'),
    target: d.empty([20, 4, 1, 656], 'u8'),
    sourceRows: d.empty([requests, 8], 'i32'),
    targetRows: d.empty([requests, 8], 'i32'),
    counts: d.empty([requests], 'i32'),
  });

  it('pass on to the device; no rows enqueue nothing', () => {
    const options = valid(device);
    expect(copyRows(options)).toBe(options.target);
    expect(backend.calls).toMatchObject([{ operation: 'copyRows', args: options }]);
    copyRows({ ...options, counts: null });
    expect(backend.calls).toHaveLength(2);
    copyRows(valid(device, 0));
    expect(backend.calls).toHaveLength(2);
  });

  it.each<[string, string, (d: Device) => object]>([
    ['source', 'of another rank', (d) => ({ source: d.empty([50, 4, 656], 'u8') })],
    ['source', 'of another dtype', (d) => ({ source: d.empty([50, 4, 1, 164], 'f32') })],
    ['source.shape[0]', 'without pages', (d) => ({ source: d.empty([0, 4, 1, 656], 'u8') })],
    ['target', 'of another dtype', (d) => ({ target: d.empty([20, 4, 1, 656], 'bf16') })],
    ['target', 'of other pages', (d) => ({ target: d.empty([20, 8, 1, 656], 'u8') })],
    [
      'source',
      'of odd rows',
      (d) => ({ source: d.empty([5, 4, 1, 584], 'u8'), target: d.empty([5, 4, 1, 584], 'u8') }),
    ],
    ['sourceRows', 'of another dtype', (d) => ({ sourceRows: d.empty([3, 8], 'i64') })],
    ['sourceRows', 'apart', (d) => ({ sourceRows: d.emptyStrided([3, 8], [9, 1], 'i32') })],
    ['targetRows', 'of another shape', (d) => ({ targetRows: d.empty([3, 7], 'i32') })],
    ['counts', 'of another length', (d) => ({ counts: d.empty([4], 'i32') })],
    ['rows', 'unknown', () => ({ rows: 1 })],
  ])('%s %s is refused', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => copyRows(options as never), argument);
  });

  it('may not share memory that is written', () => {
    const { source, ...others } = valid(device);
    expectRefusal(backend, () => copyRows({ ...others, source, target: source }), 'target');
  });
});

it('replays the plan of a swap-in for a layer that shares its choice', async () => {
  await using device = await openDevice('cpu');
  const cache = (pages: number, first: number) =>
    device.tensor(
      Uint8Array.from({ length: pages * 32 }, (_, i) => first + (i >> 4)),
      [pages, 2, 1, 16],
      'u8',
    );
  const plan = swapIn({
    topK: device.tensor(Int32Array.of(5, 4), [1, 2], 'i32'),
    seqLens: device.tensor(Int32Array.of(6), [1], 'i32'),
    rows: device.tensor(Int32Array.of(0), [1], 'i32'),
    hostPages: device.tensor(Int32Array.of(0, 1, 2), [1, 3], 'i32'),
    bufferPages: device.tensor(Int32Array.of(2, 1, 0), [1, 3], 'i32'),
    slotTokens: device.tensor(Int32Array.of(0, 1, 2, 3), [1, 4], 'i32'),
    lruOrder: device.tensor(new Uint8Array(Int16Array.of(0, 1, 2, 3).buffer), [1, 8], 'u8'),
    ...{ hostCache: cache(3, 0), deviceCache: cache(3, 100) },
  });
  const own = cache(3, 200);
  copyRows({
    ...{ source: cache(3, 50), target: own, counts: plan.missCounts },
    ...{ sourceRows: plan.plannedHostRows, targetRows: plan.plannedDeviceRows },
  });
  const [, at = -1] = await plan.locations.read();
  const bytes = await own.read();
  expect(bytes[at * 16]).toBe(54);
  expect([...bytes].filter((byte) => byte < 200)).toHaveLength(16);
});

describe('copies of rows', () => {
  const v32 = { requests: 32, most: 2048, rowBytes: 656, counted: true };

  it('are divided into no more CTAs than have work, whatever the batch', () => {
    const ctas = (requests: number, most: number) => {
      const { grid } = portableCopyRows.plan({ ...v32, requests, most }).launches.main;
      return grid[0] * grid[1];
    };
    expect(ctas(1, 2048)).toBe(82);
    expect(ctas(32, 2048)).toBe(512);
    expect(ctas(33, 1)).toBe(33);
    expect(ctas(1000, 2048)).toBe(1000);
    expect(portableCopyRows.keyOf({ ...v32, requests: 7, most: 3 })).toEqual(
      portableCopyRows.keyOf(v32),
    );
  });

  const launch = (name: string, more: object) => ({
    name,
    launch: () => portableCopyRows.plan({ ...v32, ...more }).launches.main,
  });
  itAssembles([launch('a plan', {}), launch('all rows', { counted: false, rowBytes: 1152 })]);
});
