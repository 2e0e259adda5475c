import { describe, expect, it } from 'vitest';
import {
  DeviceLostError,
  flashMlaWithKvCache,
  getMlaMetadata,
  openDevice,
} from '../../../index.ts';
import { flashMlaKernels } from '../../../ops/kernel-libraries.ts';
import { Device } from '../../device/device.ts';
import { requestAdapter } from '../gpu.ts';
import { openAdapter } from '../open.ts';
import { useSwiftShader } from '../testing/swiftshader.ts';

const absent = useSwiftShader();

/** A device that `watch` may change before the backend gets it. */
async function openWatched(watch: (gpu: GPUDevice) => void): Promise<Device> {
  const { info, limits, features, ...rest } = await requestAdapter().then((adapter) => ({
    ...{ info: adapter.info, limits: adapter.limits, features: adapter.features },
    requestDevice: async (descriptor?: GPUDeviceDescriptor) => {
      const gpu = await adapter.requestDevice(descriptor);
      watch(gpu);
      return gpu;
    },
  }));
  const adapter = { info, limits, features, ...rest } as GPUAdapter;
  return new Device(
    await openAdapter(adapter, 'adapter', await flashMlaKernels.webgpu()),
    false,
    [],
  );
}

function decode(device: Device, tokens: number, heads = 1) {
  const fill = (count: number) => new Uint16Array(count).fill(0x3f80);
  const [schedMeta] = getMlaMetadata();
  return flashMlaWithKvCache({
    q: device.tensor(fill(heads * 576), [1, 1, heads, 576], 'bf16'),
    kCache: device.tensor(fill(tokens * 576), [1, tokens, 1, 576], 'bf16'),
    blockTable: device.tensor([0], [1, 1], 'i32'),
    cacheSeqlens: device.tensor([tokens], [1], 'i32'),
    headDimV: 512,
    schedMeta,
  });
}

describe.skipIf(absent)(`the WebGPU runtime${absent ? `, skipped: ${absent}` : ''}`, () => {
  it('leaves the event loop free while kernels compile and run', async () => {
    const device = await openWatched(() => undefined);
    let [ticks, longest, last] = [0, 0, performance.now()];
    const timer = setInterval(() => {
      const now = performance.now();
      [ticks, longest, last] = [ticks + 1, Math.max(longest, now - last), now];
    }, 1);
    const { lse } = decode(device, 8192, 64);
    last = performance.now(); // Filling the inputs is the caller's own work.
    const started = last;
    await lse.read();
    const took = performance.now() - started;
    clearInterval(timer);
    await device.dispose();
    // SwiftShader takes both cores; what counts is that nothing held the loop for all of it.
    expect(took).toBeGreaterThan(100);
    expect(ticks).toBeGreaterThan(5);
    expect(longest).toBeLessThan(took / 2);
  });

  it('compiles a kernel once, without blocking, and reads through the same memory again', async () => {
    const made = { pipelines: 0, blocking: 0, staging: 0 };
    const device = await openWatched((gpu) => {
      const { createComputePipelineAsync, createComputePipeline, createBuffer } = gpu;
      gpu.createComputePipelineAsync = (descriptor) => {
        made.pipelines++;
        return createComputePipelineAsync.call(gpu, descriptor);
      };
      gpu.createComputePipeline = (descriptor) => {
        made.blocking++;
        return createComputePipeline.call(gpu, descriptor);
      };
      gpu.createBuffer = (descriptor) => {
        if (descriptor.usage & 1) made.staging++; // MAP_READ
        return createBuffer.call(gpu, descriptor);
      };
    });
    await decode(device, 5).lse.read();
    const afterFirst = { ...made };
    for (let i = 0; i < 5; i++) await decode(device, 5 + i).lse.read();
    // The probe of the device, the schedule, the attention and the combination.
    expect(afterFirst).toEqual({ pipelines: 4, blocking: 0, staging: 2 });
    expect(made).toEqual(afterFirst);
    await device.dispose();
  });

  it('rejects what is pending when the driver takes the device away, and opens another', async () => {
    let lose = (_: GPUDeviceLostInfo) => {};
    const device = await openWatched((gpu) => {
      const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
        lose = resolve;
      });
      Object.defineProperty(gpu, 'lost', { value: lost });
    });
    await decode(device, 5).lse.read();
    const { lse } = decode(device, 20_000);
    const pending = [lse.read(), device.synchronize()];
    lose({ reason: 'unknown', message: 'the GPU hung' } as GPUDeviceLostInfo);
    for (const result of await Promise.allSettled(pending)) {
      expect(result).toMatchObject({ status: 'rejected' });
      const { reason } = result as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(DeviceLostError);
      expect(String(reason)).toMatch(/the GPU hung/);
    }
    expect(() => decode(device, 5)).toThrow(DeviceLostError);
    const again = await openDevice('webgpu');
    expect((await decode(again, 5).lse.read())[0]).toBeCloseTo(Math.log(5) + 24, 4);
    await again.dispose();
  });
});
