import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of rotary position embedding. */
export const ropeKernels: KernelLibrary = {
  name: 'rope',
  cuda: [
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).ropeCudaKernels,
    },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).ropeWebGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).ropeCpuKernels,
};
