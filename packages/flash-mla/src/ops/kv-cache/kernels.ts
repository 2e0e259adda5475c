import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** The kernels of the KV cache. Each list is imported when a device needs it. */
export const kvCacheKernels: KernelLibrary = {
  name: 'kv-cache',
  cuda: [{ name: 'sm80', from: 80, load: async () => (await import('./cuda/sm80.ts')).sm80 }],
  webgpu: async () => (await import('./webgpu/kernels.ts')).webGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).cpuKernels,
};
