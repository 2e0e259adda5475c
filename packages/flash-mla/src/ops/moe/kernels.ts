import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of mixtures of experts. */
export const moeKernels: KernelLibrary = {
  name: 'moe',
  cpu: async () => (await import('./cpu/kernels.ts')).moeCpuKernels,
};
