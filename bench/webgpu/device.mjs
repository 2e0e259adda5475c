import { flashMla } from '../cuda/app.mjs';

/** A WebGPU device whose tuning is changed by `tuning`. */
export async function openTuned(tuning = {}) {
  const { requestAdapter } = await flashMla('backends/webgpu/gpu.js');
  const { openAdapter } = await flashMla('backends/webgpu/open.js');
  const { Device } = await flashMla('device.js');
  const backend = await openAdapter(await requestAdapter(), 'adapter', false, (capabilities) => ({
    ...capabilities,
    tuning: { ...capabilities.tuning, ...tuning },
  }));
  return { device: new Device(backend, false, []), info: backend.info };
}
