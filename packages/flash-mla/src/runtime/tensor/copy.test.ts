import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Device,
  DisposedError,
  InvalidArgumentError,
  openDevice,
  type PinnedBuffer,
} from '../../index.ts';
import { recordingDevice } from '../../ops/attention/api/testing/recording-backend.ts';
import { useSwiftShader } from '../webgpu/testing/swiftshader.ts';

const absent = useSwiftShader();
const counting = (length: number) => Uint8Array.from({ length }, (_, i) => i + 1);

describe('a copy', () => {
  it('is refused whole where anything of it is wrong', () => {
    const { device } = recordingDevice();
    const other = recordingDevice().device;
    const bytes = device.tensor(counting(16), [16], 'u8');
    const target = device.tensor(new Uint8Array(16), [16], 'u8');
    const [pinned, more] = [device.pinned(16), device.pinned(8)];
    const strided = device.empty([4, 4], 'u8').slice(1, 0, 2);
    const attempts: [() => void, RegExp][] = [
      [() => device.copy(7 as never, target), /^source: expected a tensor or a pinned buffer/],
      [() => device.copy(bytes, {} as never), /^target: expected a tensor or a pinned/],
      [() => device.copy(other.empty([16], 'u8'), target), /^source: .*another device/],
      [() => device.copy(bytes, other.pinned(16)), /^target: .*another device/],
      [() => device.copy(strided, target), /^source: expected a contiguous tensor/],
      [() => device.copy(pinned, more), /^target: .*target\.bytes\.set\(source\.bytes\)/],
      [() => device.copy(bytes, more), /^target: expected 16 bytes.*got 8\. Give ranges/],
      [() => device.copy(bytes, bytes), /^target: .*do not overlap/],
      [() => device.copy(bytes, target, { ranges: 7 as never }), /^ranges: /],
      [() => device.copy(bytes, target, 7 as never), /^options: /],
    ];
    const badRanges: [object, RegExp][] = [
      [{}, /^ranges\[1\]\.byteLength: .*undefined/],
      [{ byteLength: -1 }, /^ranges\[1\]\.byteLength: /],
      [{ byteLength: 17 }, /^ranges\[1\]\.sourceOffset: .*within 16 bytes, got 0 \+ 17/],
      [{ byteLength: 8, sourceOffset: 8.5 }, /^ranges\[1\]\.sourceOffset: /],
      [{ byteLength: 8, targetOffset: 9 }, /^ranges\[1\]\.targetOffset: .*got 9 \+ 8/],
    ];
    for (const [range, message] of badRanges) {
      const ranges = [{ byteLength: 4 }, range as never];
      attempts.push([() => device.copy(bytes, target, { ranges }), message]);
    }
    const overlap = [{ sourceOffset: 0, targetOffset: 7, byteLength: 8 }];
    attempts.push([
      () => device.copy(bytes, bytes, { ranges: overlap }),
      /^ranges\[0\]: .*overlap/,
    ]);
    for (const [attempt, message] of attempts) {
      expect(attempt).toThrow(message);
      expect(attempt).toThrow(InvalidArgumentError);
    }
    pinned.dispose();
    expect(() => device.copy(bytes, pinned)).toThrow(DisposedError);
  });
});

describe('a pinned buffer', () => {
  it('is given back when it is disposed of and no graph uses it', () => {
    const { device, backend } = recordingDevice();
    const tensor = device.empty([4], 'u8');
    const pinned = device.pinned(4);
    const kept = pinned.bytes;
    const graph = device.capture(() => {
      device.copy(pinned, tensor);
      device.copy(tensor, pinned);
    });
    pinned.dispose();
    expect(backend.pinned.size).toBe(1);
    graph.dispose();
    expect(backend.pinned.size).toBe(0);
    pinned.dispose();
    expect(() => pinned.bytes).toThrow(DisposedError);
    expect(kept).toEqual(new Uint8Array(4));
    device.capture(() => device.pinned(4).dispose()).dispose();
    expect(backend.pinned.size).toBe(0);
  });

  it('has a size that can be had', () => {
    const { device } = recordingDevice();
    for (const size of [0, -1, 1.5, 2 ** 40, '4', undefined]) {
      expect(() => device.pinned(size as never)).toThrow(/^byteLength: expected an integer/);
    }
  });

  it('is memory of tensors where kernels reach it, and goes with them', () => {
    const { device, backend } = recordingDevice();
    const pinned = device.pinned(16);
    const tensor = device.tensorOn(pinned, [2, 2], 'f32');
    expect(tensor.buffer).toMatchObject({ byteLength: 16 });
    const refused: [() => void, RegExp][] = [
      [() => device.tensorOn(pinned, [5], 'f32'), /^shape: expected at most 16 bytes.*got 20/],
      [() => device.tensorOn(tensor as never, [1], 'f32'), /^buffer: /],
      [() => recordingDevice().device.tensorOn(pinned, [1], 'f32'), /^buffer: .*one of another/],
      [() => device.tensorOn(pinned, [-1], 'f32'), /^shape: /],
      [() => device.tensorOn(pinned, [1], 'x' as never), /^dtype: /],
      [() => device.copy(pinned, tensor), /^target: .*do not overlap/],
    ];
    for (const [attempt, message] of refused) expect(attempt).toThrow(message);
    Object.assign(backend, { reachesHostMemory: false });
    expect(() => device.tensorOn(pinned, [1], 'f32')).toThrow(/whose kernels reach host memory/);
    tensor.dispose();
    expect(() => pinned.bytes).toThrow(DisposedError);
    expect(backend.pinned.size).toBe(0);
  });

  it('goes with the device, and its bytes stay', async () => {
    const { device } = recordingDevice();
    const pinned = device.pinned(4);
    pinned.bytes.set([1, 2, 3, 4]);
    await device.dispose();
    expect([...pinned.bytes]).toEqual([1, 2, 3, 4]);
    pinned.dispose();
    expect(() => device.pinned(4)).toThrow(DisposedError);
  });
});

const devices = [
  { spec: 'cpu', missing: false },
  { spec: 'sim', missing: false },
  { spec: 'webgpu', missing: Boolean(absent) },
] as const;

for (const { spec, missing } of devices) {
  describe.skipIf(missing)(`copies on ${spec}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(spec);
    });
    afterAll(() => device.dispose());

    const ranges = [
      { sourceOffset: 1, targetOffset: 3, byteLength: 5 },
      { sourceOffset: 8, byteLength: 2 },
      { byteLength: 0 },
    ];
    const moved = [9, 10, 0, 2, 3, 4, 5, 6, 0, 0, 0, 0];

    it('go by range from tensor to tensor, also within one', async () => {
      const source = device.tensor(counting(12), [12], 'u8');
      const target = device.empty([4, 3], 'u8');
      target.fill(0);
      device.copy(source, target, { ranges });
      expect([...(await target.read())]).toEqual(moved);
      device.copy(target.slice(0, 1, 3), target.slice(0, 3, 4), { ranges: [{ byteLength: 3 }] });
      expect([...(await target.read())].slice(9)).toEqual([2, 3, 4]);
      const same = device.empty([12], 'u8');
      device.copy(source, same);
      expect([...(await same.read())]).toEqual([...counting(12)]);
      for (const tensor of [source, target, same]) tensor.dispose();
    });

    it('go by range to host memory and from it', async () => {
      const side = device.createStream();
      const pinned = device.pinned(12);
      const back = device.pinned(12);
      pinned.bytes.set(counting(12));
      const tensor = device.empty([12], 'u8');
      tensor.fill(0, { stream: side });
      device.copy(pinned, tensor, { ranges, stream: side });
      device.copy(tensor, back, { stream: side });
      const done = side.record();
      while (!done.isDone()) await new Promise((resolve) => setTimeout(resolve, 1));
      expect([...back.bytes]).toEqual(moved);
      back.bytes.fill(7);
      device.copy(tensor, back, {
        ranges: [{ sourceOffset: 3, targetOffset: 1, byteLength: 1 }],
        stream: side,
      });
      await side.synchronize();
      expect([...back.bytes]).toEqual([7, 2, ...new Array(10).fill(7)]);
      side.dispose();
      for (const owner of [pinned, back, tensor]) owner.dispose();
    });

    it('within a graph read and write host memory at each replay', async () => {
      const [input, output] = [device.pinned(8), device.pinned(8)];
      const tensor = device.empty([8], 'u8');
      const graph = device.capture(() => {
        device.copy(input, tensor);
        device.copy(tensor, output);
      });
      for (const value of [3, 4]) {
        input.bytes.fill(value);
        graph.replay();
        await device.defaultStream.record().synchronize();
        expect([...output.bytes]).toEqual(new Array(8).fill(value));
      }
      const owners: (PinnedBuffer | { dispose(): void })[] = [input, output, tensor, graph];
      for (const owner of owners) owner.dispose();
      await device.synchronize();
    });

    it('are told from fills, which write one element again and again', async () => {
      const floats = device.empty([70], 'f32');
      floats.fill(1.5);
      expect([...(await floats.read())]).toEqual(new Array(70).fill(1.5));
      const halves = device.empty([7], 'bf16');
      halves.fill(2);
      halves.slice(0, 1, 4).fill(-1);
      expect([...(await halves.readFloat32())]).toEqual([2, -1, -1, -1, 2, 2, 2]);
      const longs = device.empty([5], 'i64');
      longs.fill(7n);
      longs.slice(0, 3, 5).fill(-1n);
      expect([...(await longs.read())]).toEqual([7n, 7n, 7n, -1n, -1n]);
      expect(() => floats.fill('1' as never)).toThrow(/^value: expected a number/);
      expect(() => device.empty([2, 2], 'u8').slice(1, 0, 1).fill(1)).toThrow(/contiguous/);
      for (const tensor of [floats, halves, longs]) tensor.dispose();
    });
  });
}
