import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels that draw tokens. */
export const samplingKernels: KernelLibrary = {
  name: 'sampling',
  cpu: async () => (await import('./cpu/kernels.ts')).samplingCpuKernels,
};
