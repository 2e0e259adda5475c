import { flashMla } from '../cuda/app.mjs';

/** A WebGPU device whose tuning is changed by `tuning`, and what its kernels are chosen by. */
export async function openTuned(tuning = {}) {
  const { requestAdapter } = await flashMla('runtime/webgpu/gpu.js');
  const { openAdapter } = await flashMla('runtime/webgpu/open.js');
  const { webGpuKernels } = await flashMla('ops/attention/webgpu/kernels.js');
  const { Device } = await flashMla('runtime/device/device.js');
  const reason = Object.keys(tuning).length > 0 ? { reason: 'changed by a benchmark' } : {};
  let capabilities;
  const adjust = (own) => {
    capabilities = { ...own, tuning: { ...own.tuning, ...reason, ...tuning } };
    return capabilities;
  };
  const adapter = await requestAdapter();
  const backend = await openAdapter(adapter, 'adapter', webGpuKernels, false, adjust);
  return { device: new Device(backend, false, []), info: backend.info, capabilities };
}
