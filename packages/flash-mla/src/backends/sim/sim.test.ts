import { defineKernel, global } from '@flash-mla/ptx';
import { beforeEach, describe, expect, it } from 'vitest';
import { Device } from '../../device.ts';
import { DeviceLostError, OutOfMemoryError } from '../../errors.ts';
import { shareContext } from '../cuda/device/shared-context.ts';
import { openCuda } from '../cuda/open.ts';
import { fakeEntries } from '../cuda/testing/fake-family.ts';
import { simulatedDevices } from './devices.ts';
import { SimDriver } from './driver.ts';

let driver: SimDriver;
let device: Device;

beforeEach(async () => {
  driver = new SimDriver();
  const options = { debug: false, exactMemory: true, families: fakeEntries };
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
    grid: [ctas, 1, 1],
    block: [32, 1, 1],
    sharedBytes: 0,
    overlap: false,
    stream: 1,
    parameterBytes: 16,
  });
  slowStore.packParams({ target: address, index, value }).forEach((byte, i) => {
    run.parameters.setUint8(i, byte);
  });
  run.run();
}

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

  it('has as much memory as it says', () => {
    const bytes = (simulatedDevices[0]?.memoryBytes ?? 0) + 1;
    expect(() => device.empty([bytes], 'u8')).toThrow(OutOfMemoryError);
    for (let i = 0; i < 5; i++) device.empty([2 ** 30], 'u8').dispose();
  });
});
