import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of matrix products. */
export const gemmKernels: KernelLibrary = {
  name: 'gemm',
  cpu: async () => (await import('./cpu/kernels.ts')).gemmCpuKernels,
};
