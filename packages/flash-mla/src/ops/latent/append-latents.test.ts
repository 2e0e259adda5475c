import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appendLatents, type Device, openDevice } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { runConformance } from '../cases.ts';
import { type Fault, faultyDevice } from '../conformance/testing/faulty-backend.ts';
import type { AppendLatentsArgs } from './operation.ts';

describe('the arguments of appendLatents', () => {
  let device: Device;
  let backend: RecordingBackend;
  beforeEach(() => {
    ({ device, backend } = recordingDevice());
  });

  const valid = (d: Device) => ({
    ...{ latents: d.empty([3, 576], 'bf16'), weight: d.empty([512], 'f32'), eps: 1e-6 },
    ...{ cos: d.empty([9, 32], 'f32'), sin: d.empty([9, 32], 'f32'), pairs: 'half' as const },
    queries: d.empty([3, 2, 192], 'bf16').slice(2, 128, 192),
    rotatedQueries: d.empty([3, 2, 576], 'bf16').slice(2, 512, 576),
    ...{ kCache: d.empty([2, 64, 1, 576], 'bf16'), slots: d.empty([3], 'i32') },
  });

  it('pass on to the device; no rows enqueue nothing', () => {
    const options = valid(device);
    expect(appendLatents(options)).toBe(options.kCache);
    const { pairs: _, ...args } = options;
    expect(backend.calls).toMatchObject([
      { operation: 'appendLatents', args: { ...args, interleaved: false } },
    ]);
    const none = { queries: device.empty([0, 2, 64], 'bf16'), slots: device.empty([0], 'i32') };
    appendLatents({
      ...{ ...options, ...none, latents: device.empty([0, 576], 'bf16') },
      rotatedQueries: device.empty([0, 2, 64], 'bf16'),
    });
    expect(backend.calls).toHaveLength(1);
  });

  type Change = (d: Device) => object;
  it.each<[string, string, Change]>([
    ['latents', 'of another dtype', (d) => ({ latents: d.empty([3, 576], 'f16') })],
    ['latents.shape[1]', 'without a key', (d) => ({ latents: d.empty([3, 512], 'bf16') })],
    ['latents.shape[1]', 'with an odd key', (d) => ({ latents: d.empty([3, 575], 'bf16') })],
    ['weight', 'too wide', (d) => ({ weight: d.empty([2049], 'f32') })],
    ['eps', 'NaN', () => ({ eps: Number.NaN })],
    ['cos.shape[1]', 'of another width', (d) => ({ cos: d.empty([9, 31], 'f32') })],
    ['sin', 'of another shape', (d) => ({ sin: d.empty([8, 32], 'f32') })],
    ['cos.shape[0]', 'of too few rows', () => shortTables(device)],
    ['positions', 'of other rows', (d) => ({ positions: d.empty([2], 'i32') })],
    ['pairs', 'left out', () => ({ pairs: undefined })],
    ['queries', 'of other rows', (d) => ({ queries: d.empty([2, 2, 64], 'bf16') })],
    ['rotatedQueries', 'of other heads', (d) => ({ rotatedQueries: d.empty([3, 1, 64], 'bf16') })],
    ['kCache', 'of another width', (d) => ({ kCache: d.empty([2, 64, 1, 512], 'bf16') })],
    ['kCache', 'of another dtype', (d) => ({ kCache: d.empty([2, 64, 1, 576], 'f16') })],
    ['slots', 'of another dtype', (d) => ({ slots: d.empty([3], 'i64') })],
  ])('%s %s is refused', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => appendLatents(options as never), argument);
  });

  const shortTables = (d: Device) => ({
    ...{ cos: d.empty([2, 32], 'f32'), sin: d.empty([2, 32], 'f32') },
  });

  it('may not share memory that is written', () => {
    const options = valid(device);
    const shared = { ...options, rotatedQueries: options.queries };
    expectRefusal(backend, () => appendLatents(shared), 'rotatedQueries');
  });
});

describe('the conformance cases of appendLatents', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('sim');
  });
  afterAll(() => device.dispose());

  const failures = async (on: Device) => {
    const failed: string[] = [];
    for await (const { name, status } of runConformance(on, { filter: 'append-latents' })) {
      if (status === 'failed') failed.push(name);
    }
    return failed;
  };

  it('pass on the simulator', async () => {
    expect(await failures(device)).toEqual([]);
  });

  it.each<[string, (args: AppendLatentsArgs) => AppendLatentsArgs]>([
    ['another eps', (args) => ({ ...args, eps: args.eps + 0.1 })],
    ['another pairing', (args) => ({ ...args, interleaved: !args.interleaved })],
    ['positions that are ignored', (args) => ({ ...args, positions: undefined })],
  ])('notice %s', async (_, change) => {
    const faulty = faultyDevice(device, { appendLatents: change } as Fault);
    expect(await failures(faulty)).not.toEqual([]);
  });
});
