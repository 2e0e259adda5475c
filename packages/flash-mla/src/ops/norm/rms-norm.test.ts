import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Device, openDevice, rmsNorm } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { runConformance } from '../cases.ts';
import { type Fault, faultyDevice } from '../conformance/testing/faulty-backend.ts';
import type { RmsNormArgs } from './operation.ts';

describe('the arguments of rmsNorm', () => {
  let device: Device;
  let backend: RecordingBackend;
  beforeEach(() => {
    ({ device, backend } = recordingDevice());
  });

  const valid = (d: Device) => ({
    x: d.empty([3, 256], 'bf16'),
    weight: d.empty([256], 'bf16'),
    eps: 1e-6,
  });

  it('pass on to the device, with an output like x', () => {
    const options = valid(device);
    const { out, scales } = rmsNorm(options);
    expect([out.dtype, out.shape, scales]).toEqual(['bf16', [3, 256], undefined]);
    expect(backend.calls).toMatchObject([{ operation: 'rmsNorm', args: { ...options, out } }]);
  });

  it('give an e4m3 output its scales', () => {
    const { out, scales } = rmsNorm({ ...valid(device), dtype: 'e4m3' });
    expect([out.dtype, scales.dtype, scales.shape]).toEqual(['e4m3', 'f32', [3, 2]]);
  });

  it('may be parts of the same rows', () => {
    const rows = device.empty([3, 600], 'bf16');
    const out = rows.slice(1, 300, 556);
    expect(rmsNorm({ ...valid(device), x: rows.slice(1, 0, 256), out }).out).toBe(out);
  });

  it('enqueue nothing for no rows', () => {
    const { out } = rmsNorm({ ...valid(device), x: device.empty([0, 256], 'bf16') });
    expect(out.shape).toEqual([0, 256]);
    expect(backend.calls).toEqual([]);
  });

  type Change = (d: Device) => object;
  it.each<[string, string, Change]>([
    ['x', 'of another dtype', (d) => ({ x: d.empty([3, 256], 'f16') })],
    ['x', 'of another rank', (d) => ({ x: d.empty([256], 'bf16') })],
    ['x', 'with apart columns', (d) => ({ x: d.emptyStrided([3, 256], [512, 2], 'bf16') })],
    ['x.shape[1]', 'of no columns', (d) => ({ x: d.empty([3, 0], 'bf16') })],
    ['x.shape[1]', 'too wide', (d) => ({ x: d.empty([1, 40_000], 'bf16') })],
    ['weight', 'of another width', (d) => ({ weight: d.empty([255], 'bf16') })],
    ['weight', 'of another device', () => ({ weight: valid(recordingDevice().device).weight })],
    ['eps', 'below 0', () => ({ eps: -1 })],
    ['eps', 'NaN', () => ({ eps: Number.NaN })],
    ['residual', 'of another shape', (d) => ({ residual: d.empty([2, 256], 'bf16') })],
    ['residual', 'in the memory of x', () => ({ residual: 'x' })],
    ['dtype', 'unknown', () => ({ dtype: 'f16' })],
    ['out', 'of another dtype', (d) => ({ dtype: 'f32', out: d.empty([3, 256], 'bf16') })],
    ['out', 'in the memory of x', () => ({ out: 'x' })],
    [
      'out.strides',
      'whose rows overlap',
      (d) => ({ out: d.emptyStrided([3, 256], [8, 1], 'bf16') }),
    ],
    ['scales', 'without e4m3', (d) => ({ scales: d.empty([3, 2], 'f32') })],
    ['scaleFormat', 'unknown', () => ({ dtype: 'e4m3', scaleFormat: 'ue5' })],
    ['weigth', 'misspelt', () => ({ weigth: 1 })],
  ])('%s %s is refused', (argument, _, change) => {
    const options: Record<string, unknown> = { ...valid(device), ...change(device) };
    for (const name of ['residual', 'out']) if (options[name] === 'x') options[name] = options.x;
    expectRefusal(backend, () => rmsNorm(options as never), argument);
  });

  it('leave nothing behind where the device fails', () => {
    const options = valid(device);
    const live = backend.live.size;
    backend.failing = 'rmsNorm';
    expect(() => rmsNorm({ ...options, dtype: 'e4m3' })).toThrow('rmsNorm fails');
    expect(backend.live.size).toBe(live);
  });
});

describe('a device with one fault fails', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.dispose());

  it.each<[string, (args: RmsNormArgs) => RmsNormArgs]>([
    ['leaves the residual out', ({ residual: _, ...args }) => ({ ...args, residual: undefined })],
    ['has another eps', (args) => ({ ...args, eps: args.eps + 0.1 })],
    ['ignores the format of scales', (args) => ({ ...args, powerOfTwoScales: false })],
  ])('%s', async (_, change) => {
    const faulty = faultyDevice(device, { rmsNorm: change } as Fault);
    const failed: string[] = [];
    for await (const { status, name } of runConformance(faulty, { filter: 'rms-norm' })) {
      if (status === 'failed') failed.push(name);
    }
    expect(failed.length).toBeGreaterThan(0);
  });
});
