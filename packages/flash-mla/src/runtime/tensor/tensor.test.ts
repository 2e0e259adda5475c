import { runInNewContext } from 'node:vm';
import {
  contiguousStrides,
  DisposedError,
  type DType,
  dtypeSize,
  dtypes,
  InvalidArgumentError,
  isContiguous,
  isDType,
  numElements,
  OutOfMemoryError,
  storageFromBytes,
} from '@flash-mla/core';
import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type RecordingBackend,
  recordingDevice,
} from '../../ops/attention/api/testing/recording-backend.ts';
import { flashMlaWithKvCache, getMlaMetadata } from '../../ops/attention/index.ts';
import type { Device } from '../device/device.ts';
import { Tensor } from './tensor.ts';

let device: Device;
let backend: RecordingBackend;

beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

const counting = (n: number) => Int32Array.from({ length: n }, (_, i) => i);

describe('views', () => {
  it('slice one dimension and share memory', async () => {
    const tensor = device.tensor(counting(24), [2, 3, 4], 'i32');
    const middle = tensor.slice(1, 1, 3);
    expect([middle.shape, middle.strides, middle.byteOffset]).toEqual([[2, 2, 4], [12, 4, 1], 16]);
    expect([...(await middle.read())]).toEqual([
      4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23,
    ]);
    const column = middle.slice(2, 1, 2);
    expect([...(await column.read())]).toEqual([5, 9, 17, 21]);
    tensor.write(Int32Array.from({ length: 24 }, () => -1));
    expect([...(await column.read())]).toEqual([-1, -1, -1, -1]);
  });

  it('read any strides as the definition says', async () => {
    const tensor = device.tensor(counting(60), [60], 'i32');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 5 })), {
          maxLength: 4,
        }),
        fc.integer({ min: 0, max: 4 }),
        async (dims, offset) => {
          const shape = dims.map(([n]) => n);
          const strides = dims.map(([, stride]) => stride);
          const view = tensor.asStrided(shape, strides, offset);
          let expected = [offset];
          shape.forEach((n, d) => {
            expected = expected.flatMap((base) =>
              Array.from({ length: n }, (_, i) => base + i * (strides[d] ?? 0)),
            );
          });
          expect([...(await view.read())]).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('reshape contiguous tensors', () => {
    const tensor = device.empty([2, 3, 4], 'f16');
    expect(tensor.reshape([6, 4]).strides).toEqual([4, 1]);
    expect(tensor.slice(0, 1, 2).reshape([12]).byteOffset).toBe(24);
    expect(() => tensor.reshape([5])).toThrow(/a shape of 24 elements.*got \(5\)/);
    expect(() => tensor.slice(1, 0, 2).reshape([16])).toThrow(/the tensor is strided/);
    for (const bad of [undefined, 24, '24', [-24], [Number.NaN], [1.5, 16]]) {
      expect(() => tensor.reshape(bad as never)).toThrow(InvalidArgumentError);
    }
  });

  it('never reach outside their memory', () => {
    const tensor = device.empty([10], 'i32');
    expect(tensor.asStrided([2, 5], [5, 1]).size).toBe(10);
    expect(tensor.asStrided([3], [4], 1).shape).toEqual([3]);
    expect(() => tensor.asStrided([3], [4], 2)).toThrow(
      /inside 40 bytes, got one that ends at byte 44/,
    );
    expect(() => tensor.asStrided([2], [2 ** 53 - 1])).toThrow(InvalidArgumentError);
    expect(() => tensor.asStrided([0], [1], 11)).toThrow(InvalidArgumentError);
    const bad: unknown[][] = [
      [[2], [1, 1]],
      [[2], [-1]],
      [[-2], [1]],
      [[2.5], [1]],
      [2, [1]],
      [[2], undefined],
      [[2], [1], -1],
      [[2], [1], '0'],
      [[2], [1], Number.NaN],
    ];
    for (const args of bad) {
      expect(() => tensor.asStrided(...(args as [never, never]))).toThrow(InvalidArgumentError);
    }
  });

  it('refuse dimensions and ranges that are not there', () => {
    const tensor = device.empty([2, 3], 'i32');
    expect([tensor.stride(0), tensor.stride(1), tensor.stride(-1), tensor.stride(-2)]).toEqual([
      3, 1, 1, 3,
    ]);
    for (const dimension of [2, -3, 0.5, Number.NaN, 'length', undefined, 1n, Symbol('d')]) {
      expect(() => tensor.stride(dimension as never)).toThrow(InvalidArgumentError);
      expect(() => tensor.slice(dimension as never, 0, 1)).toThrow(InvalidArgumentError);
    }
    for (const [begin, end] of [
      [-1, 1],
      [2, 1],
      [0, 4],
      [0.5, 1],
      ['0', 1],
      [0, undefined],
    ]) {
      expect(() => tensor.slice(1, begin as never, end as never)).toThrow(/begin, end: .*<= 3/);
    }
    expect(tensor.slice(1, 3, 3).size).toBe(0);
  });
});

describe('the fields of a tensor', () => {
  it('cannot be changed, not even by JavaScript', () => {
    const shape = [2, 3];
    const made = device.empty(shape, 'f32');
    const [schedMeta] = getMlaMetadata();
    flashMlaWithKvCache({
      q: device.empty([1, 1, 1, 576], 'bf16'),
      kCache: device.empty([1, 64, 1, 576], 'bf16'),
      blockTable: device.empty([1, 1], 'i32'),
      cacheSeqlens: device.empty([1], 'i32'),
      headDimV: 512,
      schedMeta,
    });
    const { tileSchedulerMetadata, numSplits } = schedMeta;
    const tensors = [
      made,
      made.slice(0, 0, 1),
      made.reshape([6]),
      made.asStrided([2], [2], 1),
      device.emptyStrided([2, 2], [4, 1], 'f32'),
      tileSchedulerMetadata,
      numSplits,
    ];
    for (const tensor of tensors) {
      const open = tensor as unknown as Record<string, unknown> & { shape: number[] };
      for (const name of ['shape', 'strides', 'byteOffset', 'dtype', 'device']) {
        expect(() => {
          open[name] = [9];
        }).toThrow(TypeError);
      }
      expect(() => open.shape.push(9)).toThrow(TypeError);
      expect(() => {
        (open.strides as number[])[0] = 400_000_000;
      }).toThrow(TypeError);
    }
    shape[0] = 9;
    expect(made.shape).toEqual([2, 3]);
  });
});

describe('data', () => {
  it.each(dtypes)('of %s come back as they were stored', async (dtype) => {
    const bytes = Uint8Array.from({ length: 16 * dtypeSize(dtype) }, (_, i) => (i * 37) & 0x7f);
    const data = storageFromBytes(dtype, bytes);
    const tensor = device.tensor(data, [4, 4], dtype);
    expect(await tensor.read()).toEqual(data);
    expect(tensor.size).toBe(16);
    const other = device.empty([4, 4], dtype);
    other.write(bytes);
    expect(await other.read()).toEqual(data);
  });

  it('given as numbers are encoded', async () => {
    const values = [0.1, -2.5, 500, Number.NaN];
    expect(await device.tensor(values, [4], 'f32').readFloat32()).toEqual(
      Float32Array.from(values),
    );
    expect([...(await device.tensor(values, [2, 2], 'e4m3').readFloat32())]).toEqual([
      0.1015625,
      -2.5,
      448,
      Number.NaN,
    ]);
    expect([...(await device.tensor(Float64Array.of(3), [1], 'bf16').readFloat32())]).toEqual([3]);
    expect([...(await device.tensor([1n, -1n], [2], 'i64').read())]).toEqual([1n, -1n]);
    expect([...(await device.tensor([7], [], 'i32').read())]).toEqual([7]);
  });

  it.each([
    ['nothing', undefined],
    ['text', 'abcd'],
    ['numbers in text', ['1', '2', '3', '4']],
    ['undefined', [1, undefined, 3, 4]],
    ['a hole', Object.assign(new Array(4), [1, 2, 3])],
    ['symbols', [Symbol('a'), 1, 2, 3]],
    ['an array-like object', { length: 4, 0: 1, 1: 1, 2: 1, 3: 1 }],
    ['too few', [1, 2, 3]],
    ['a buffer', new ArrayBuffer(16)],
    ['a data view', new DataView(new ArrayBuffer(4))],
  ])('that are %s are refused', (_, data) => {
    expect(() => device.tensor(data as never, [4], 'f32')).toThrow(/^data: expected/);
    expect(backend.live.size).toBe(0);
  });

  it('are written to contiguous tensors of their own type and size only', () => {
    const tensor = device.empty([2, 4], 'i32');
    expect(() => tensor.write(new Int32Array(7))).toThrow(/expected 32 bytes.*got 28/);
    expect(() => tensor.write(new Float32Array(8) as never)).toThrow(/typed array of i32/);
    expect(() => tensor.write('x'.repeat(32) as never)).toThrow(InvalidArgumentError);
    expect(() => tensor.slice(1, 0, 2).write(new Int32Array(4))).toThrow(/strided/);
    tensor.slice(0, 1, 2).write(new Int32Array(4));
  });

  it('of another realm mean what those of this one do', async () => {
    const foreign = (source: string) => runInNewContext(source);
    const codes = foreign('Uint16Array.of(0x3f80, 0x4000)');
    const tensor = device.tensor(codes, [2], 'bf16');
    expect([...(await tensor.readFloat32())]).toEqual([1, 2]);
    tensor.write(foreign('Uint16Array.of(0x4000, 0x3f80)'));
    expect([...(await tensor.readFloat32())]).toEqual([2, 1]);
    tensor.write(foreign('Uint8Array.of(0, 0, 0, 0)'));
    expect([...(await tensor.readFloat32())]).toEqual([0, 0]);
    expect([...(await device.tensor(foreign('[3, 4]'), [2], 'i32').read())]).toEqual([3, 4]);
    expect(() => device.tensor(foreign('new DataView(new ArrayBuffer(2))'), [2], 'u8')).toThrow(
      InvalidArgumentError,
    );
  });

  it('whose memory has gone elsewhere are refused', () => {
    const detached = (length: number) => {
      const data = new Float32Array(length);
      structuredClone(data.buffer, { transfer: [data.buffer] });
      return data;
    };
    expect(() => device.tensor(detached(4), [4], 'f32')).toThrow(InvalidArgumentError);
    const tensor = device.empty([4], 'f32');
    expect(() => tensor.write(detached(4))).toThrow(/expected 16 bytes .*, got 0 bytes/);
    device.empty([0], 'f32').write(detached(4));
    expect(device.tensor(detached(0), [0], 'f32').size).toBe(0);
  });

  it('that an integer dtype does not hold leave nothing allocated', () => {
    expect(() => device.tensor([0, Number.NaN], [2], 'i32')).toThrow(/^data\[1\]: .*got NaN/);
    expect(() => device.tensor([1.7], [1], 'i32')).toThrow(/^data\[0\]: .*got 1.7/);
    expect(() => device.tensor(Float32Array.of(1e10), [1], 'i32')).toThrow(InvalidArgumentError);
    backend.write = () => {
      throw new OutOfMemoryError('cpu', 8, 0, 'Free some.');
    };
    expect(() => device.tensor([1], [1], 'i32')).toThrow(OutOfMemoryError);
    expect(backend.live.size).toBe(0);
  });

  it('of more elements than the host can hold end in a typed error', async () => {
    const view = device.tensor([1], [1], 'f32').asStrided([2 ** 45], [0]);
    await expect(view.read()).rejects.toThrow(OutOfMemoryError);
    await expect(view.readFloat32()).rejects.toThrow(
      /'host' cannot allocate 140737488355328 bytes/,
    );
  });

  it('of no elements are read without asking the device', async () => {
    backend.read = () => Promise.reject(new Error('asked'));
    expect(await device.empty([3, 0], 'f32').read()).toEqual(new Float32Array(0));
  });
});

describe('disposal', () => {
  it('frees memory once, for all views', async () => {
    const tensor = device.empty([4, 4], 'f32');
    const view = tensor.slice(0, 1, 2);
    view.dispose();
    tensor.dispose();
    tensor[Symbol.dispose]();
    expect([backend.live.size, tensor.disposed, view.disposed]).toEqual([0, true, true]);
    expect(() => view.buffer).toThrow(DisposedError);
    await expect(tensor.read()).rejects.toThrow(/f32 tensor \(4, 4\) was used after dispose/);
    await expect(device.empty([0], 'i32').read()).resolves.toHaveLength(0);
    const empty = device.empty([0], 'i32');
    empty.dispose();
    await expect(empty.read()).rejects.toThrow(DisposedError);
    expect(() => tensor.write(new Float32Array(16))).toThrow(DisposedError);
  });

  it('after the device is harmless', async () => {
    const tensor = device.empty([4], 'f32');
    await device.dispose();
    tensor.dispose();
    expect(tensor.disposed).toBe(true);
    expect(() => device.empty([1], 'f32')).toThrow(/device 'cpu' was used after dispose/);
  });
});

describe('Tensor.isTensor', () => {
  it('is not fooled by look-alikes', () => {
    expect(Tensor.isTensor(device.empty([1], 'f32'))).toBe(true);
    const lookAlikes = [
      Object.create(Tensor.prototype),
      { ...device.empty([1], 'f32') },
      new Proxy(device.empty([1], 'f32'), {}),
      null,
      undefined,
      1,
      Tensor,
    ];
    for (const value of lookAlikes) expect(Tensor.isTensor(value)).toBe(false);
  });
});

describe('leaks', () => {
  /** Runs the garbage collector until finalisers had their turn. */
  async function collect(): Promise<void> {
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    for (let i = 0; i < 5; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async function warningsOf(debug: boolean, use: (device: Device) => void): Promise<string[]> {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const watched = recordingDevice('cpu', debug).device;
    use(watched);
    await collect();
    const warnings = warn.mock.calls.map(([message]) => String(message));
    warn.mockRestore();
    return warnings;
  }

  it('are reported in debug mode with their size and origin', async () => {
    const warnings = await warningsOf(true, (watched) => {
      watched.empty([3, 5], 'bf16');
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/bf16 tensor \(3, 5\).*without dispose\(\); its 30 bytes/);
    expect(warnings[0]).toMatch(/tensor\.test\.ts/);
  });

  it('are not what was disposed of, itself or through a view', async () => {
    const warnings = await warningsOf(true, (watched) => {
      watched.empty([3], 'bf16').dispose();
      watched.empty([3], 'bf16').slice(0, 0, 1).dispose();
    });
    expect(warnings).toEqual([]);
  });

  it('are not what a view still reaches', async () => {
    let view: Tensor | undefined;
    const warnings = await warningsOf(true, (watched) => {
      view = watched.empty([3], 'bf16').slice(0, 0, 1);
    });
    expect(warnings).toEqual([]);
    view?.dispose();
  });

  it('are not reported for a device that is gone, nor without debug mode', async () => {
    const gone = await warningsOf(true, (watched) => {
      watched.empty([3], 'bf16');
      void watched.dispose();
    });
    expect(gone).toEqual([]);
    const quiet = await warningsOf(false, (watched) => {
      watched.empty([3], 'bf16');
    });
    expect(quiet).toEqual([]);
  });
});

describe('shapes and dtypes', () => {
  it('know their sizes', () => {
    expect(numElements([])).toBe(1);
    expect(numElements([2, 0, 5])).toBe(0);
    expect(contiguousStrides([2, 3, 4])).toEqual([12, 4, 1]);
    expect(contiguousStrides([2, 0, 4])).toEqual([4, 4, 1]);
    expect(dtypes.map(dtypeSize)).toEqual([4, 2, 2, 1, 1, 1, 4, 8]);
    for (const value of ['f64', 'toString', '', null, 4]) expect(isDType(value)).toBe(false);
  });

  it('call contiguous what lies in order without gaps', () => {
    expect(isContiguous([2, 3], [3, 1])).toBe(true);
    expect(isContiguous([2, 1, 3], [3, 99, 1])).toBe(true);
    expect(isContiguous([1, 3], [99, 1])).toBe(true);
    expect(isContiguous([2, 3], [4, 1])).toBe(false);
    expect(isContiguous([3, 2], [1, 3])).toBe(false);
    expect(isContiguous([0, 3], [1, 7])).toBe(true);
    expect(isContiguous([2, 3], [0, 1])).toBe(false);
  });

  it('view bytes in place where aligned and copy otherwise', () => {
    const bytes = new Uint8Array(16);
    expect(storageFromBytes('f32', bytes).buffer).toBe(bytes.buffer);
    const shifted = storageFromBytes('f32', bytes.subarray(1, 9));
    expect(shifted.buffer).not.toBe(bytes.buffer);
    expect(shifted).toHaveLength(2);
    expect(storageFromBytes('i64', bytes.subarray(0, 15))).toHaveLength(1);
  });

  it.each([
    ['shape', [[-1], 'f32']],
    ['shape', [[1.5], 'f32']],
    ['shape', [[2 ** 53 - 1, 2 ** 53 - 1], 'f32']],
    ['shape', ['12', 'f32']],
    ['shape', [undefined, 'f32']],
    ['shape', [[Symbol('n')], 'f32']],
    ['dtype', [[1], 'f64']],
    ['dtype', [[1], undefined]],
    ['dtype', [[1], 'constructor' as DType]],
  ] as [string, unknown[]][])('refuse a wrong %s', (argument, args) => {
    const error = (() => {
      try {
        return device.empty(...(args as [never, never]));
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument });
    expect(backend.live.size).toBe(0);
  });
});
