import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** The kernels of attention. Each list is imported when a device needs it. */
export const attentionKernels: KernelLibrary = {
  name: 'attention',
  // In the order of preference.
  cuda: [
    { name: 'sm90', from: 90, to: 90, load: async () => (await import('./cuda/sm90.ts')).sm90 },
    { name: 'sm80', from: 80, load: async () => (await import('./cuda/sm80.ts')).sm80 },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).webGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).cpuKernels,
};
