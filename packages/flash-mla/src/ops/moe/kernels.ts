import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';
import { optionalHopper } from '../kernel-lib/cuda/sm90/products/opt-in.ts';

/** Kernels of mixtures of experts. */
export const moeKernels: KernelLibrary = {
  name: 'moe',
  cuda: [
    optionalHopper(async () => (await import('./cuda/warp-groups.ts')).hopperMoeKernels),
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).moeCudaKernels,
    },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).moeWebGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).moeCpuKernels,
};
