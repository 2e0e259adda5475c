import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of HiSparse's swap-in. */
export const swapInKernels: KernelLibrary = {
  name: 'swap-in',
  cuda: [
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).swapInCudaKernels,
    },
  ],
  cpu: async () => (await import('./cpu/kernels.ts')).swapInCpuKernels,
};
