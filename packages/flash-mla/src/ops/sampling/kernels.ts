import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels that draw tokens. */
export const samplingKernels: KernelLibrary = {
  name: 'sampling',
  cuda: [
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).samplingCudaKernels,
    },
  ],
  cpu: async () => (await import('./cpu/kernels.ts')).samplingCpuKernels,
};
