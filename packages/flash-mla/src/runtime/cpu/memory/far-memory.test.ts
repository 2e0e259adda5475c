import { encodeElements, OutOfMemoryError } from '@flash-mla/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCpu } from '../../../ops/attention/cpu/testing/problems.ts';
import { embedding } from '../../../ops/embedding/index.ts';
import { batchedLinear, linear } from '../../../ops/gemm/index.ts';
import { expertMlp } from '../../../ops/moe/index.ts';
import type { Device } from '../../device/device.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { asCpuBuffer } from '../commands/address.ts';
import { findNative } from '../native/index.ts';

type Matrix = 'bf16' | 'f32' | 'e4m3';

const { kind } = await findNative('any');

/** Weights in the device's memory, or beside it. */
function weights<D extends Matrix>(
  device: Device,
  shape: readonly number[],
  dtype: D,
  far: boolean,
): Tensor<D> {
  const count = shape.reduce((a, b) => a * b);
  const values = Float32Array.from({ length: count }, (_, i) => Math.sin(i * i) / 4);
  if (!far) return device.tensor(values, shape, dtype);
  const target = device.empty(shape, dtype, { purpose: 'weights' });
  expect(asCpuBuffer(target.buffer).base).not.toBe(0);
  target.write(encodeElements(dtype, values) as never);
  return target;
}

describe.skipIf(kind === 'wasm')('weights beside the memory of the device', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openCpu({ nearWeightBytes: 0 });
  });
  afterAll(() => device.dispose());

  const rows = (count: number, depth: number, dtype: 'bf16' | 'f32') =>
    device.tensor(
      Float32Array.from({ length: count * depth }, (_, i) => Math.cos(i) / 2),
      [count, depth],
      dtype,
    );

  /** Calls with weights of both kinds. */
  async function expectSame(call: (far: boolean) => Tensor): Promise<void> {
    const [near, far] = [call(false), call(true)];
    expect(await far.read()).toEqual(await near.read());
    near.dispose();
    far.dispose();
  }

  it.each<[string, Matrix, 'bf16' | 'f32', number, number, number]>([
    ['in place', 'bf16', 'bf16', 5, 70, 96],
    ['in place', 'bf16', 'f32', 3, 130, 48],
    ['in place', 'f32', 'f32', 60, 40, 64],
    ['copied, depth of 37', 'bf16', 'bf16', 3, 20, 37],
    ['in place', 'e4m3', 'bf16', 4, 130, 256],
    ['copied, depth of 40', 'e4m3', 'bf16', 4, 128, 40],
  ])('are multiplied with: %s, %s by %s', (_, dtype, x, count, columns, depth) =>
    expectSame((far) => {
      const weight = weights(device, [columns, depth], dtype, far);
      const blocks = [columns, depth].map((n) => Math.ceil(n / 128));
      const weightScales = dtype === 'e4m3' ? weights(device, blocks, 'f32', far) : undefined;
      return linear({ x: rows(count, depth, x), weight, weightScales, dtype: 'f32' } as never);
    }),
  );

  it.each([true, false])('are multiplied with, matrix by matrix (transposed: %s)', (transposed) =>
    expectSame((far) => {
      const weight = weights(device, [3, 32, 64], 'bf16', far);
      const [depth, columns] = transposed ? [32, 64] : [64, 32];
      const x = rows(4, 3 * depth, 'bf16').reshape([4, 3, depth]);
      const out = batchedLinear({ x, weight, transposed, dtype: 'f32' });
      expect(out.shape).toEqual([4, 3, columns]);
      return out;
    }),
  );

  it.each<[string, Matrix, number]>([
    ['in place', 'bf16', 48],
    ['in place', 'e4m3', 160],
    ['copied, width of 21', 'f32', 21],
  ])('are those of experts: %s, %s, width %i', (_, dtype, width) =>
    expectSame((far) => {
      const [experts, hidden, topK] = [3, 96, 2];
      const blocksOf = (n: number) => Math.ceil(n / 128);
      const isScaled = dtype === 'e4m3';
      return expertMlp({
        x: rows(5, hidden, 'f32'),
        experts: device.tensor(Int32Array.from([0, 2, 2, 1, 0, 1, 9, 2, 1, 0]), [5, topK], 'i32'),
        weights: rows(5, topK, 'f32'),
        gateUp: weights(device, [experts, 2 * width, hidden], dtype, far),
        down: weights(device, [experts, hidden, width], dtype, far),
        gateUpScales: isScaled
          ? weights(device, [experts, blocksOf(2 * width), blocksOf(hidden)], 'f32', far)
          : undefined,
        downScales: isScaled
          ? weights(device, [experts, blocksOf(hidden), blocksOf(width)], 'f32', far)
          : undefined,
      } as never);
    }),
  );

  it('are looked up', () =>
    expectSame((far) => {
      const ids = device.tensor(Int32Array.from([3, 0, -1, 19, 20]), [5], 'i32');
      return embedding({ table: weights(device, [20, 50], 'bf16', far), ids, dtype: 'f32' });
    }));

  it('are multiplied with in a graph, which follows what is written', async () => {
    const x = rows(2, 37, 'bf16');
    const weight = weights(device, [8, 37], 'bf16', true);
    const out = device.empty([2, 8], 'f32');
    const graph = device.capture(() => {
      linear({ x, weight, out });
    });
    graph.replay();
    const first = await out.readFloat32();
    weight.slice(0, 0, 1).write(new Uint16Array(37));
    graph.replay();
    const second = await out.readFloat32();
    expect([second[0], second[8]]).toEqual([0, 0]);
    expect(second.slice(1, 8)).toEqual(first.slice(1, 8));
    graph.dispose();
  });

  it('are written and read by parts, in order with the work', async () => {
    const weight = device.empty([4, 32], 'f32', { purpose: 'weights' });
    weight.write(Float32Array.from({ length: 128 }, (_, i) => i));
    const x = device.tensor(new Float32Array(32).fill(1), [1, 32], 'f32');
    const sums = linear({ x, weight, dtype: 'f32' });
    weight.slice(0, 1, 2).write(new Float32Array(32).fill(-1));
    const read = weight.slice(0, 0, 2).read();
    weight.slice(0, 0, 1).write(new Float32Array(32).fill(7));
    expect(await sums.readFloat32()).toEqual(Float32Array.from([496, 1520, 2544, 3568]));
    expect((await read).slice(30, 34)).toEqual(Float32Array.from([30, 31, -1, -1]));
    expect((await weight.read()).slice(30, 34)).toEqual(Float32Array.from([7, 7, -1, -1]));
  });

  it('go back to the system, and are refused where it has not so much', async () => {
    const before = device.memoryStats();
    const some = device.empty([1 << 20, 4], 'f32', { purpose: 'weights' });
    expect(device.memoryStats().reserved - before.reserved).toBe(1 << 24);
    some.dispose();
    await device.synchronize();
    expect(device.memoryStats()).toMatchObject({
      allocated: before.allocated,
      reserved: before.reserved,
    });
    expect(() => device.empty([2 ** 40], 'f32', { purpose: 'weights' })).toThrow(OutOfMemoryError);
  });
});
