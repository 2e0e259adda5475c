import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of mixtures of experts. */
export const moeKernels: KernelLibrary = {
  name: 'moe',
  cuda: [
    {
      ...{ name: 'sm90', from: 90, to: 90 },
      load: async () => (await import('./cuda/sm90.ts')).hopperMoeKernels,
    },
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).moeCudaKernels,
    },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).moeWebGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).moeCpuKernels,
};
