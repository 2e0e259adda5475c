import {
  BackendUnavailableError,
  DeviceLostError,
  DisposedError,
  InvalidArgumentError,
  OutOfMemoryError,
} from '@flash-mla/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { denseDecode } from '../../ops/attention/operations.ts';
import { quantizeRows } from '../../ops/kv-cache/operations.ts';
import { Device } from '../device/device.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { openCuda, probeCuda } from './open.ts';
import { FakeDriver, fakeFacts } from './testing/fake-driver.ts';
import { copyKernel, fakeFamilies } from './testing/fake-family.ts';

let driver: FakeDriver;

beforeEach(() => {
  driver = new FakeDriver();
  driver.kernels.set('fake_copy', copyKernel);
});

async function open(ordinal = 0, exactMemory = false): Promise<Device> {
  const options = { debug: false, exactMemory, families: fakeFamilies() };
  return new Device(await openCuda(driver, ordinal, options), false, []);
}

/** Copies 128 words of `q` to `out` on the device, by the fake family's dense decode. */
function copyOnDevice(device: Device, q: Tensor, out: Tensor): void {
  const vector = device.empty([1], 'i32');
  device.backend.run(denseDecode, {
    q: q.reshape([1, 1, 1, 256]),
    kCache: q.reshape([1, 1, 1, 256]),
    blockTable: vector.reshape([1, 1]),
    seqlens: vector,
    headDimV: 256,
    softmaxScale: 1,
    causal: false,
    schedule: {
      metadata: vector,
      numSplits: vector,
      plan: { numParts: 1, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 },
    },
    out,
    lse: out,
  });
}

const codes = Uint16Array.from({ length: 256 }, (_, i) => i);
const calls = (name: string) => driver.calls.filter((call) => call === name).length;

describe('opening', () => {
  it('lists devices with what decides whether they can be used', () => {
    expect(probeCuda(driver)[0]).toMatchObject({
      name: 'Fake GPU',
      details: { 'CUDA version': '13.0', 'compute capability': '9.0', multiprocessors: 132 },
    });
    driver.facts = { ...fakeFacts, sm: 75 };
    expect(probeCuda(driver)[0]?.details.supported).toMatch(/8\.0 or newer/);
  });

  it('refuses what is not there or too old, with what is there', async () => {
    await expect(open(7)).rejects.toThrow(/there is no device 7.*devices 0 to 1/);
    driver.facts = { ...fakeFacts, sm: 75 };
    await expect(open()).rejects.toThrow(/compute capability 7\.5/);
    driver.devices = 0;
    await expect(open()).rejects.toThrow(BackendUnavailableError);
    expect(() => probeCuda(driver)).toThrow(/sees no GPU/);
  });

  it('turns a context that cannot be made into an unavailable backend', async () => {
    driver.fail('openContext', 46, 'CUDA_ERROR_DEVICE_UNAVAILABLE');
    await expect(open()).rejects.toThrow(/exclusively/);
    await (await open()).dispose();
  });

  it('touches no device but the one it opens', async () => {
    await open(1);
    expect(driver.contexts.map((context) => context.ordinal)).toEqual([1]);
  });
});

describe('transfers', () => {
  it('copy what was written at that moment, and read what is enqueued before', async () => {
    driver.automatic = false;
    const device = await open();
    const data = new Float32Array([1, 2, 3]);
    const tensor = device.tensor(data, [3], 'f32');
    data.fill(9);
    const before = tensor.read();
    tensor.write(new Float32Array([4, 5, 6]));
    const after = tensor.read();
    setTimeout(() => driver.advance(), 2);
    expect(await before).toEqual(new Float32Array([1, 2, 3]));
    expect(await after).toEqual(new Float32Array([4, 5, 6]));
  });

  it('travel in pieces when they are large, and reads are of one moment', async () => {
    const device = await open();
    const size = 40 * 2 ** 20;
    const data = new Uint8Array(size).map((_, i) => i * 31 + (i >> 16));
    const tensor = device.tensor(data, [size], 'u8');
    expect(calls('copyToDevice')).toBe(3);
    const read = tensor.read();
    tensor.write(new Uint8Array(size));
    expect(Buffer.compare(await read, data)).toBe(0);
    expect(Buffer.compare(await tensor.read(), new Uint8Array(size))).toBe(0);
  });

  it('of large tensors manage without spare device memory', async () => {
    driver.facts = { ...fakeFacts, memoryBytes: 50 * 2 ** 20 };
    const device = await open();
    const size = 40 * 2 ** 20;
    const tensor = device.tensor(new Uint8Array(size).fill(7), [size], 'u8');
    expect((await tensor.read()).every((byte) => byte === 7)).toBe(true);
  });

  it('use the same pinned memory again', async () => {
    const device = await open();
    const tensor = device.empty([16], 'f32');
    for (let i = 0; i < 20; i++) {
      tensor.write(new Float32Array(16).fill(i));
      expect((await tensor.read())[0]).toBe(i);
    }
    expect(driver.contexts[0]?.pinnedBlocks).toBeLessThanOrEqual(2);
  });
});

describe('memory', () => {
  it('is counted, and is reused at once in stream order', async () => {
    const device = await open();
    const tensor = device.empty([1000], 'f32');
    expect(device.memoryStats()).toMatchObject({ allocated: 4000, peak: 4000 });
    tensor.dispose();
    const second = device.empty([1000], 'f32');
    expect(device.memoryStats()).toMatchObject({ allocated: 4000, peak: 4000 });
    expect(calls('allocate')).toBe(1);
    second.dispose();
  });

  it('beyond the card ends in a typed error, and nothing else is lost', async () => {
    const device = await open();
    const kept = device.tensor([1, 2, 3, 4], [4], 'f32');
    const attempt = () => device.empty([2 ** 31], 'u8');
    expect(attempt).toThrow(OutOfMemoryError);
    try {
      attempt();
    } catch (error) {
      expect(error).toMatchObject({ requested: 2 ** 31, available: 2 ** 30 - 2 ** 21 });
    }
    expect([...(await kept.read())]).toEqual([1, 2, 3, 4]);
    expect(device.memoryStats().allocated).toBe(16);
  });

  it('gives cached blocks back before it gives up', async () => {
    const device = await open();
    device.empty([600 * 2 ** 20], 'u8').dispose();
    const tensor = device.empty([900 * 2 ** 20], 'u8');
    expect(calls('free')).toBe(1);
    tensor.dispose();
  });

  it('is exact where asked for', async () => {
    const device = await open(0, true);
    const tensor = device.empty([5], 'u8');
    expect([...(driver.contexts[0]?.memory.blocks.values() ?? [])].at(-1)?.length).toBe(5);
    tensor.dispose();
    expect(driver.contexts[0]?.memory.blocks.size).toBe(0);
  });
});

describe('operations', () => {
  it('are bound once per problem and run with the addresses of each call', async () => {
    const device = await open();
    const first = device.tensor(codes, [256], 'bf16');
    const second = device.tensor(
      codes.map((code) => code + 1),
      [256],
      'bf16',
    );
    const out = device.empty([256], 'bf16');
    copyOnDevice(device, first, out);
    expect(await out.read()).toEqual(codes);
    copyOnDevice(device, second, out);
    expect((await out.read())[0]).toBe(1);
    expect([calls('loadKernel'), calls('prepareRun'), calls('run')]).toEqual([1, 1, 2]);
  });

  it('without a kernel are refused, saying for what', async () => {
    const device = await open();
    const tensor = device.empty([1, 1, 1, 576], 'bf16');
    const target = device.empty([1, 1, 1, 656], 'u8');
    const attempt = () =>
      device.backend.run(quantizeRows, { layout: 'v32', source: tensor, target });
    expect(attempt).toThrow(/no kernel of quantizeKvCache takes this call on sm_90/);
  });
});

describe('a graph', () => {
  it('repeats what was recorded, with the contents of the moment', async () => {
    const device = await open();
    const source = device.tensor(codes, [256], 'bf16');
    const out = device.empty([256], 'bf16');
    const graph = device.capture(() => copyOnDevice(device, source, out));
    expect(calls('run')).toBe(1);
    graph.replay();
    expect(await out.read()).toEqual(codes);
    source.write(codes.map((code) => code + 5));
    graph.replay();
    expect((await out.read())[0]).toBe(5);
    expect(calls('run')).toBe(1);
    graph.dispose();
    expect(() => graph.replay()).toThrow(DisposedError);
  });

  it('keeps the memory that was allocated while it was recorded', async () => {
    const device = await open();
    const source = device.tensor(codes, [256], 'bf16');
    let inside: Tensor | undefined;
    const graph = device.capture(() => {
      inside = device.tensor([1, 2, 3], [3], 'f32');
      copyOnDevice(device, source, device.empty([256], 'bf16'));
    });
    graph.replay();
    const reserved = device.memoryStats().reserved;
    const others = Array.from({ length: 50 }, () => device.tensor([7, 7, 7], [3], 'f32'));
    graph.replay();
    expect([...((await inside?.read()) ?? [])]).toEqual([1, 2, 3]);
    for (const other of others) expect([...(await other.read())]).toEqual([7, 7, 7]);
    graph.dispose();
    expect(device.memoryStats().reserved).toBe(reserved);
    inside?.dispose();
  });

  it('leaves recording when its function throws', async () => {
    const device = await open();
    const fail = () =>
      device.capture(() => {
        throw new RangeError('mine');
      });
    expect(fail).toThrow(RangeError);
    expect([calls('beginCapture'), calls('endCapture'), calls('destroyGraph')]).toEqual([1, 1, 1]);
    expect([...(await device.tensor([1], [1], 'f32').read())]).toEqual([1]);
  });

  it('refuses to wait inside', async () => {
    const device = await open();
    const tensor = device.tensor([1], [1], 'f32');
    let inside: Promise<unknown> | undefined;
    device.capture(() => {
      inside = device.backend.read(tensor.buffer, 0, 4);
      inside.catch(() => {});
    });
    await expect(inside).rejects.toThrow(InvalidArgumentError);
    expect(() => device.capture(() => void device.backend.capture(() => {}))).toThrow(
      /capture\(\)/,
    );
  });
});

describe('a device that is lost', () => {
  it('rejects what waits and what comes, and makes no call in it any more', async () => {
    driver.automatic = false;
    const device = await open();
    const tensor = device.tensor([1, 2], [2], 'f32');
    const waiting = [tensor.read(), device.synchronize(), tensor.read()];
    driver.fail('queryEvent', 700, 'CUDA_ERROR_ILLEGAL_ADDRESS', 99);
    for (const wait of waiting) await expect(wait).rejects.toThrow(DeviceLostError);
    expect(driver.calls.filter((call) => /reset|close/.test(call))).toEqual(['close', 'reset']);
    const before = driver.calls.length;
    expect(() => tensor.write(new Float32Array(2))).toThrow(/CUDA_ERROR_ILLEGAL_ADDRESS/);
    expect(() => device.empty([1], 'f32')).toThrow(DeviceLostError);
    expect(() => device.capture(() => {})).toThrow(DeviceLostError);
    await expect(tensor.read()).rejects.toThrow(DeviceLostError);
    tensor.dispose();
    await device.dispose();
    expect(driver.calls.length).toBe(before);
  });

  it('is found out at a launch as well', async () => {
    const device = await open();
    const tensor = device.tensor(codes, [256], 'bf16');
    driver.fail('run', 719, 'CUDA_ERROR_LAUNCH_FAILED');
    expect(() => copyOnDevice(device, tensor, tensor)).toThrow(DeviceLostError);
    await expect(device.synchronize()).rejects.toThrow(/openDevice\(\)/);
  });

  it('can be opened again', async () => {
    const device = await open();
    driver.fail('copyToDevice', 700, 'CUDA_ERROR_ILLEGAL_ADDRESS');
    expect(() => device.tensor([1], [1], 'f32')).toThrow(DeviceLostError);
    const again = await open();
    expect([...(await again.tensor([5], [1], 'f32').read())]).toEqual([5]);
    await device.dispose();
    await again.dispose();
    expect(calls('close')).toBe(2);
  });

  it('cannot be opened again where the driver refuses: a new process can', async () => {
    const device = await open();
    driver.fail('copyToDevice', 700, 'CUDA_ERROR_ILLEGAL_ADDRESS');
    expect(() => device.tensor([1], [1], 'f32')).toThrow(/in a new process if that fails/);
    driver.fail('openContext', 700, 'CUDA_ERROR_ILLEGAL_ADDRESS', 2);
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await open().catch((error: unknown) => error as BackendUnavailableError);
      expect(error).toBeInstanceOf(BackendUnavailableError);
      expect(error).toMatchObject({
        reason: expect.stringMatching(
          /faulted in this process.*CUDA_ERROR_ILLEGAL_ADDRESS \(700\)/,
        ),
        remedy: expect.stringMatching(/Start a new process/),
      });
    }
  });

  it('is lost for every holder of the same GPU, and for no other GPU', async () => {
    const [one, two, other] = [await open(0), await open(0), await open(1)];
    driver.fail('createEvent', 999, 'CUDA_ERROR_UNKNOWN');
    expect(() => one.tensor([1], [1], 'f32')).toThrow(DeviceLostError);
    expect(() => two.empty([1], 'f32')).toThrow(DeviceLostError);
    expect([...(await other.tensor([3], [1], 'f32').read())]).toEqual([3]);
  });
});

describe('closing', () => {
  it('rejects pending reads and gives everything back', async () => {
    driver.automatic = false;
    const device = await open();
    device.capture(() => void device.tensor([1], [1], 'f32'));
    const tensor = device.tensor(codes, [256], 'bf16');
    device.empty([2 ** 22], 'f32');
    const pending = tensor.read();
    pending.catch(() => {});
    setTimeout(() => driver.advance(), 2);
    await device.dispose();
    await expect(pending).rejects.toThrow(/disposed of before this was done/);
    const [context] = driver.contexts;
    expect([context?.memory.blocks.size, context?.pinnedBlocks]).toEqual([0, 0]);
    expect(calls('createEvent')).toBe(calls('destroyEvent'));
    expect(calls('close')).toBe(1);
    expect(() => tensor.write(codes)).toThrow(DisposedError);
  });

  it('leaves the context to other holders', async () => {
    const [one, two] = [await open(), await open()];
    expect(driver.contexts).toHaveLength(1);
    await one.dispose();
    expect(calls('close')).toBe(0);
    expect([...(await two.tensor([3], [1], 'f32').read())]).toEqual([3]);
    await two.dispose();
    expect(calls('close')).toBe(1);
  });
});

describe('device time', () => {
  it('is what events say, in seconds', async () => {
    const device = await open();
    expect(await device.backend.measurements?.deviceTime?.(() => {})).toBe(0.0015);
  });
});
