import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Device,
  DisposedError,
  flashMlaWithKvCache,
  getMlaMetadata,
  InvalidArgumentError,
  openDevice,
  type Tensor,
} from '../../index.ts';
import { recordingDevice } from '../../ops/attention/api/testing/recording-backend.ts';
import { useSwiftShader } from '../webgpu/testing/swiftshader.ts';

const absent = useSwiftShader();
const why = absent ? `, skipped: ${absent}` : '';
const bf16 = { one: 0x3f80, two: 0x4000, fortyTwo: 0x4228 };

/** What `enqueue` throws within a capture, and what the capture then throws. */
function thrownWithin(device: Device, enqueue: () => unknown): [unknown, unknown] {
  let inside: unknown;
  try {
    device.capture(() => {
      try {
        void enqueue();
      } catch (error) {
        inside = error;
        throw error;
      }
    });
  } catch (error) {
    return [inside, error];
  }
  return [inside, undefined];
}

describe('what a graph keeps', () => {
  const setUp = () => {
    const { device, backend } = recordingDevice();
    const tensor = device.empty([4], 'i32');
    const use = (used: Tensor<'i32'> = tensor) => used.write(new Int32Array(used.size));
    return { device, backend, tensor, use };
  };

  it('is the memory of tensors that are disposed of, until it is disposed of itself', () => {
    const { device, backend, tensor, use } = setUp();
    const graph = device.capture(() => use());
    const other = device.capture(() => use(tensor.slice(0, 1, 3)));
    tensor.dispose();
    expect(() => tensor.buffer).toThrow(DisposedError);
    expect(device.memoryStats().allocated).toBe(16);
    graph.dispose();
    expect(device.memoryStats().allocated).toBe(16);
    other.dispose();
    other.dispose();
    expect(backend.live.size).toBe(0);
  });

  it('is not the memory of tensors that it does not use, nor of those that live on', () => {
    const { device, backend, tensor, use } = setUp();
    const unused = device.empty([4], 'i32');
    const graph = device.capture(() => {
      use();
      unused.dispose();
    });
    expect(backend.live.size).toBe(1);
    graph.dispose();
    expect(backend.live.size).toBe(1);
    tensor.dispose();
    expect(backend.live.size).toBe(0);
  });

  it('is the memory of temporaries, which later ones of the same size share', () => {
    const { device, backend, tensor, use } = setUp();
    const graph = device.capture(() => {
      for (let layer = 0; layer < 5; layer++) {
        const temporary = device.empty([100], 'i32');
        use(temporary);
        temporary.dispose();
      }
      use(device.empty([50], 'i32'));
    });
    expect(device.memoryStats().allocated).toBe(16 + 400 + 200);
    device.empty([100], 'i32').dispose();
    graph.dispose();
    expect(device.memoryStats().allocated).toBe(16 + 200);
    tensor.dispose();
    expect(backend.live.size).toBe(1);
  });

  it('is nothing where the capture fails', () => {
    const { device, backend, tensor, use } = setUp();
    const fail = () => {
      use();
      device.empty([7], 'i32').dispose();
      tensor.dispose();
      throw new RangeError('mine');
    };
    expect(() => device.capture(fail)).toThrow('mine');
    expect(backend.live.size).toBe(0);
  });

  it('goes with the device', async () => {
    const { device, tensor, use } = setUp();
    const graph = device.capture(() => use());
    await device.dispose();
    tensor.dispose();
    graph.dispose();
    expect(() => graph.replay()).toThrow(DisposedError);
  });
});

const devices = [
  { spec: 'cpu', missing: false, note: '' },
  { spec: 'sim', missing: false, note: '' },
  { spec: 'webgpu', missing: Boolean(absent), note: why },
] as const;

for (const { spec, missing, note } of devices) {
  describe.skipIf(missing)(`a graph on ${spec}${note}`, () => {
    let device: Device;
    let inputs: ReturnType<typeof makeInputs>;

    /** One request over eight rows of ones: the output is ones. */
    const makeInputs = () => ({
      q: device.tensor(new Uint16Array(576).fill(bf16.one), [1, 1, 1, 576], 'bf16'),
      kCache: device.tensor(new Uint16Array(8 * 576).fill(bf16.one), [1, 8, 1, 576], 'bf16'),
      blockTable: device.tensor([0], [1, 1], 'i32'),
      cacheSeqlens: device.tensor([8], [1], 'i32'),
      headDimV: 512,
    });
    const decode = (): { out: Tensor; lse: Tensor } => {
      const [schedMeta] = getMlaMetadata();
      const results = flashMlaWithKvCache({ ...inputs, schedMeta });
      schedMeta.dispose();
      return results;
    };
    const disposeInputs = () => {
      const { q, kCache, blockTable, cacheSeqlens } = inputs;
      for (const tensor of [q, kCache, blockTable, cacheSeqlens]) tensor.dispose();
    };
    /** Tensors that take whatever memory is free, of the sizes in use, full of 42. */
    const occupy = () =>
      [512, 576, 8 * 576, 2, 2, 4].map((count) =>
        device.tensor(new Uint16Array(count).fill(bf16.fortyTwo), [count], 'bf16'),
      );
    const expectUntouched = async (tensors: Tensor[]) => {
      for (const tensor of tensors) {
        expect(new Set(await tensor.readFloat32())).toEqual(new Set([42]));
      }
    };

    beforeAll(async () => {
      device = await openDevice(spec);
    });
    afterAll(() => device.dispose());
    beforeEach(() => {
      inputs = makeInputs();
    });

    it('does not write into what has the memory of an output that is disposed of', async () => {
      const before = device.memoryStats().allocated;
      const graph = device.capture(() => {
        const { out, lse } = decode();
        out.dispose();
        lse.dispose();
      });
      const victims = occupy();
      graph.replay();
      graph.replay();
      await expectUntouched(victims);
      for (const victim of victims) victim.dispose();
      graph.dispose();
      expect(device.memoryStats().allocated).toBe(before);
      disposeInputs();
    });

    it('reads its inputs although they are disposed of, and gives all memory back at the end', async () => {
      disposeInputs();
      const before = device.memoryStats().allocated;
      for (let round = 0; round < 3; round++) {
        inputs = makeInputs();
        let results = { out: inputs.q as Tensor, lse: inputs.q as Tensor };
        const graph = device.capture(() => {
          results = decode();
        });
        disposeInputs();
        const others = occupy();
        graph.replay();
        const out = await results.out.readFloat32();
        expect([out[0], out[511]]).toEqual([1, 1]);
        await expectUntouched(others);
        for (const tensor of [...others, results.out, results.lse]) tensor.dispose();
        graph.dispose();
        expect(device.memoryStats().allocated).toBe(before);
      }
    });

    it('repeats what was written within the capture, also to a tensor made there', async () => {
      let made = device.empty([1], 'f32');
      made.dispose();
      const graph = device.capture(() => {
        inputs.q.write(new Uint16Array(576).fill(bf16.two));
        made = device.tensor([3], [1], 'f32');
      });
      expect((await inputs.q.readFloat32())[0]).toBe(1);
      graph.replay();
      expect((await inputs.q.readFloat32())[0]).toBe(2);
      expect([...(await made.read())]).toEqual([3]);
      made.write(Float32Array.of(4));
      graph.dispose();
      expect([...(await made.read())]).toEqual([4]);
      made.dispose();
      disposeInputs();
    });

    it('cannot be made of waiting, and the device goes on', async () => {
      const graph = device.capture(() => {});
      const refused: [string, () => unknown][] = [
        ['read()', () => inputs.q.read()],
        ['read()', () => inputs.q.readFloat32()],
        ['synchronize()', () => device.synchronize()],
        ['replay() of a graph', () => graph.replay()],
        ['dispose() of a graph', () => graph.dispose()],
        ['dispose() of its device', () => device.dispose()],
      ];
      for (const [what, enqueue] of refused) {
        const [inside, outside] = thrownWithin(device, enqueue);
        expect(inside).toBeInstanceOf(InvalidArgumentError);
        expect((inside as Error).message).toContain(`one that calls ${what}`);
        expect(outside).toBe(inside);
      }
      graph.replay();
      graph.dispose();
      const { out, lse } = decode();
      expect((await out.readFloat32())[0]).toBe(1);
      out.dispose();
      lse.dispose();
      disposeInputs();
    });
  });
}
