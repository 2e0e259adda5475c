import { DeviceLostError, OutOfMemoryError } from '@flash-mla/core';
import { defineKernel, field, global, type Kernel, tensorMap } from '@flash-mla/ptx';
import { beforeEach, describe, expect, it } from 'vitest';
import { shareContext } from '../cuda/device/shared-context.ts';
import { openCuda } from '../cuda/open.ts';
import { fakeFamilies } from '../cuda/testing/fake-family.ts';
import { Device } from '../device/device.ts';
import { simulatedDevices } from './devices.ts';
import { SimDriver } from './driver.ts';

let driver: SimDriver;
let device: Device;

beforeEach(async () => {
  driver = new SimDriver();
  const options = { debug: false, exactMemory: true, families: fakeFamilies() };
  device = new Device(await openCuda(driver, 0, options), false, []);
});

const params = { target: global('u32'), index: 'u32', value: 'u32' } as const;
/** Every thread of a CTA spins for a while, then one stores a value. */
const slowStore = defineKernel({ name: 'slow_store', params, block: [32] }, (k, p) => {
  const sum = k.var('u32', 0);
  k.for({ to: 2000, unroll: false }, (i) => sum.addTo(i));
  k.if(k.threadIdx.x.eq(0).and(sum.ne(1)), () => p.target.at(p.index).store(p.value));
});

/** Launches {@link slowStore} on the device's context, beside what the backend does. */
function store(address: number, index: number, value: number, ctas = 1): void {
  const { context } = shareContext(driver, 0);
  const source = { name: 'slow_store', kernel: slowStore, target: 'sm_80', ptx: () => '' };
  const run = context.prepareRun({
    kernel: context.loadKernel(source),
    source,
    block: [32, 1, 1],
    sharedBytes: 0,
    overlap: false,
    parameterBytes: 16,
  });
  slowStore.packParams({ target: address, index, value }).forEach((byte, i) => {
    run.parameters.setUint8(i, byte);
  });
  run.run([ctas, 1, 1], 1);
}

const mapParams = { map: tensorMap('u32'), target: global('u32') } as const;
/** The first CTA of each pair loads four words for both. */
const multicast = defineKernel(
  {
    name: 'multicast',
    params: mapParams,
    shared: { words: field('u32', [4], { align: 128 }), bar: field('b64', [1]) },
    block: [32],
    cluster: [2],
  },
  (k, { map, target }) => {
    const bar = k.shared.bar.at(0);
    k.if(k.threadIdx.x.eq(0), () => {
      k.mbarrierInit(bar, 1);
      k.fenceMbarrierInit();
      k.mbarrierArriveExpectTx(bar, 16);
    });
    k.clusterBarrier();
    k.if(k.threadIdx.x.add(k.clusterCtaRank).eq(0), () => {
      k.tensorLoad(k.shared.words.at(0), map, [0], bar, { multicast: 3 });
    });
    k.mbarrierWait(bar, 0);
    k.if(k.threadIdx.x.lt(4), () => {
      const word = k.shared.words.at(k.threadIdx.x).load();
      target.at(k.mad(k.blockIdx.x, 4, k.threadIdx.x)).store(word);
    });
  },
);

const addressOf = (tensor: { buffer: object }) => (tensor.buffer as { address: number }).address;

describe('the simulated device', () => {
  it('runs kernels in order with copies', async () => {
    const tensor = device.tensor([1, 2, 3], [3], 'i32');
    const before = tensor.read();
    store(addressOf(tensor), 1, 77);
    const after = tensor.read();
    tensor.write(new Int32Array([9, 9, 9]));
    expect([...(await before)]).toEqual([1, 2, 3]);
    expect([...(await after)]).toEqual([1, 77, 3]);
    expect([...(await tensor.read())]).toEqual([9, 9, 9]);
    await device.dispose();
  });

  it('lets the event loop go on between CTAs', async () => {
    const tensor = device.tensor([0], [1], 'i32');
    store(addressOf(tensor), 0, 5, 400);
    let ticks = 0;
    const ticker = setInterval(() => ticks++, 1);
    expect([...(await tensor.read())]).toEqual([5]);
    clearInterval(ticker);
    expect(ticks).toBeGreaterThan(2);
  });

  it('loses the device at a faulty kernel and says which line did what', async () => {
    const tensor = device.tensor([0, 0], [2], 'i32');
    store(addressOf(tensor), 2, 5);
    const error = await tensor.read().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DeviceLostError);
    expect((error as Error).message).toMatch(/CUDA_ERROR_ILLEGAL_ADDRESS.*out of bounds/s);
    expect((error as Error).message).toMatch(/sim\.test\.ts:\d+/);
    await expect(device.synchronize()).rejects.toThrow(DeviceLostError);
    expect(() => device.empty([1], 'f32')).toThrow(DeviceLostError);
    await device.dispose();
  });

  it('repeats graphs, with the parameters of their recording', async () => {
    const tensor = device.tensor([0, 0], [2], 'i32');
    const graph = device.capture(() => store(addressOf(tensor), 0, 1));
    expect([...(await tensor.read())]).toEqual([0, 0]);
    graph.replay();
    expect([...(await tensor.read())]).toEqual([1, 0]);
    tensor.write(new Int32Array(2));
    graph.replay();
    expect([...(await tensor.read())]).toEqual([1, 0]);
  });

  it('runs clusters and copies by tensor maps', async () => {
    const { context } = shareContext(driver, 2);
    const hopper = new Device(
      await openCuda(driver, 2, { debug: false, exactMemory: true, families: fakeFamilies() }),
      false,
      [],
    );
    const words = hopper.tensor([5, 6, 7], [3], 'i32');
    const target = hopper.tensor(new Array(16).fill(0), [16], 'i32');
    const shape = { element: 'u32', dims: [3], strides: [], box: [4] } as const;
    const map = context.encodeTensorMap({ ...shape, address: addressOf(words) });
    const parameters = multicast.packParams({ map, target: addressOf(target) });
    const source = {
      name: 'multicast',
      kernel: multicast as Kernel,
      target: 'sm_90',
      ptx: () => '',
    };
    const run = context.prepareRun({
      kernel: context.loadKernel(source),
      source,
      block: [32, 1, 1],
      cluster: [2, 1, 1],
      sharedBytes: multicast.sharedBytes,
      overlap: false,
      parameterBytes: parameters.length,
    });
    parameters.forEach((byte, i) => {
      run.parameters.setUint8(i, byte);
    });
    run.run([4, 1, 1], 1);
    const expected = [5, 6, 7, 0];
    expect([...(await target.read())]).toEqual([0, 1, 2, 3].flatMap(() => expected));
    await hopper.dispose();
  });

  it('has as much memory as it says', () => {
    const bytes = (simulatedDevices[0]?.memoryBytes ?? 0) + 1;
    expect(() => device.empty([bytes], 'u8')).toThrow(OutOfMemoryError);
    for (let i = 0; i < 5; i++) device.empty([2 ** 30], 'u8').dispose();
  });
});
