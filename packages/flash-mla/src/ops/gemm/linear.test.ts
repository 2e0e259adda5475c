import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { batchedLinear, type Device, linear, openDevice } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { runConformance } from '../cases.ts';
import { type Fault, faultyDevice } from '../conformance/testing/faulty-backend.ts';
import { cutProduct } from './cpu/kernels.ts';
import type { GemmArgs } from './operation.ts';

let device: Device;
let backend: RecordingBackend;
beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

type Change = (d: Device) => object;

describe('the arguments of linear', () => {
  const valid = (d: Device) => ({
    x: d.empty([3, 256], 'bf16'),
    weight: d.empty([130, 256], 'bf16'),
  });

  it('become a batch of one product', () => {
    const out = linear({ ...valid(device), bias: device.empty([130], 'f32') });
    expect([out.dtype, out.shape]).toEqual(['bf16', [3, 130]]);
    const args = backend.calls[0]?.args as GemmArgs;
    expect(args.x).toMatchObject({ shape: [3, 1, 256], strides: [256, 0, 1] });
    expect(args.weight).toMatchObject({ shape: [1, 130, 256], strides: [0, 256, 1] });
    expect(args.out).toMatchObject({ shape: [3, 1, 130], strides: [130, 0, 1] });
    expect([args.scale, args.transposed]).toEqual([1, false]);
  });

  it('may grow the output, and enqueue nothing for no rows', () => {
    const out = device.empty([3, 130], 'f32');
    expect(linear({ ...valid(device), residual: out, out })).toBe(out);
    expect(backend.calls).toHaveLength(1);
    linear({ ...valid(device), x: device.empty([0, 256], 'bf16') });
    expect(backend.calls).toHaveLength(1);
  });

  it.each<[string, string, Change]>([
    ['x', 'of another dtype', (d) => ({ x: d.empty([3, 256], 'e4m3') })],
    ['x.shape[1]', 'of no columns', (d) => ({ x: d.empty([3, 0], 'bf16') })],
    ['weight', 'of another depth', (d) => ({ weight: d.empty([130, 255], 'bf16') })],
    [
      'weight',
      'with apart columns',
      (d) => ({ weight: d.emptyStrided([9, 256], [512, 2], 'bf16') }),
    ],
    ['weight', 'of another device', () => ({ weight: valid(recordingDevice().device).weight })],
    ['weightScales', 'missing', (d) => ({ weight: d.empty([130, 256], 'e4m3') })],
    ['weightScales', 'for bf16', (d) => ({ weightScales: d.empty([2, 2], 'f32') })],
    [
      'weightScales',
      'of another shape',
      (d) => ({ weight: d.empty([130, 256], 'e4m3'), weightScales: d.empty([1, 2], 'f32') }),
    ],
    ['bias', 'of another width', (d) => ({ bias: d.empty([129], 'bf16') })],
    ['residual', 'of another shape', (d) => ({ residual: d.empty([3, 129], 'bf16') })],
    ['scale', 'NaN', () => ({ scale: Number.NaN })],
    ['dtype', 'unknown', () => ({ dtype: 'e4m3' })],
    ['out', 'of another dtype', (d) => ({ dtype: 'f32', out: d.empty([3, 130], 'bf16') })],
    ['out', 'in the memory of x', (d) => sharing(d)],
    ['wieght', 'misspelt', () => ({ wieght: 1 })],
  ])('%s %s is refused', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => linear(options as never), argument);
  });

  function sharing(d: Device) {
    const memory = d.empty([3, 300], 'bf16');
    return { x: memory.slice(1, 0, 256), out: memory.slice(1, 100, 230) };
  }
});

describe('the arguments of batchedLinear', () => {
  const valid = (d: Device) => ({
    x: d.empty([3, 4, 128], 'bf16'),
    weight: d.empty([4, 256, 512], 'bf16').slice(1, 0, 128),
    transposed: true,
  });

  it('are passed on as they lie', () => {
    const memory = device.empty([3, 4, 576], 'bf16');
    const out = memory.slice(2, 0, 512);
    expect(batchedLinear({ ...valid(device), out })).toBe(out);
    const args = backend.calls[0]?.args as GemmArgs;
    expect(args.weight.strides).toEqual([256 * 512, 512, 1]);
    expect(args.out.strides).toEqual([4 * 576, 576, 1]);
  });

  it.each<[string, string, Change]>([
    ['x', 'of another rank', (d) => ({ x: d.empty([3, 128], 'bf16') })],
    ['x.shape[1]', 'of no batch', (d) => ({ x: d.empty([3, 0, 128], 'bf16') })],
    ['weight', 'that is not transposed', () => ({ transposed: false })],
    ['weight', 'of e4m3', (d) => ({ weight: d.empty([4, 128, 512], 'e4m3') })],
    ['transposed', 'no flag', () => ({ transposed: 1 })],
    ['out', 'of another shape', (d) => ({ out: d.empty([3, 4, 511], 'bf16') })],
  ])('%s %s is refused', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => batchedLinear(options as never), argument);
  });
});

describe('how a product is cut for threads', () => {
  it.each([
    [1, 1, 3648, 2048],
    [4096, 1, 2048, 2048],
    [300, 1, 64, 20_000],
    [2, 128, 128, 512],
    [7, 1, 1, 1],
  ])('keeps blocks whole: %i rows, %i matrices, %i × %i', (rows, batch, columns, depth) => {
    const { rowBlock, weightBlock, columnBlock, scratchBytes } = cutProduct(
      { rows, batch, columns, depth },
      16,
    );
    expect([rowBlock % 3, weightBlock % 4, columnBlock % 16]).toEqual([0, 0, 0]);
    expect(columnBlock % weightBlock).toBe(0);
    expect(Math.min(rowBlock, weightBlock, columnBlock)).toBeGreaterThan(0);
    const decoded = (rowBlock + weightBlock) * Math.ceil(depth / 8) * 32;
    expect(scratchBytes).toBe(64 + rowBlock * columnBlock * 4 + decoded);
  });
});

describe('a device with one fault fails', () => {
  let cpu: Device;
  beforeAll(async () => {
    cpu = await openDevice('cpu');
  });
  afterAll(() => cpu.dispose());

  it.each<[string, (args: GemmArgs) => GemmArgs]>([
    ['leaves the bias out', (args) => ({ ...args, bias: undefined })],
    ['leaves the residual out', (args) => ({ ...args, residual: undefined })],
    ['ignores the factor', (args) => ({ ...args, scale: 1 })],
  ])('%s', async (_, change) => {
    const faulty = faultyDevice(cpu, { gemm: change } as Fault);
    const failed: string[] = [];
    for await (const { status, name } of runConformance(faulty, { filter: 'linear' })) {
      if (status === 'failed') failed.push(name);
    }
    expect(failed.length).toBeGreaterThan(0);
  });
});
