import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels that take rows of a table. */
export const embeddingKernels: KernelLibrary = {
  name: 'embedding',
  cuda: [
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).embeddingCudaKernels,
    },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).embeddingWebGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).embeddingCpuKernels,
};
