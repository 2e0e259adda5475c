import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';
import { optionalHopper } from '../kernel-lib/cuda/sm90/products/opt-in.ts';

/** Kernels of matrix products. */
export const gemmKernels: KernelLibrary = {
  name: 'gemm',
  cuda: [
    optionalHopper(async () => (await import('./cuda/warp-groups.ts')).hopperGemmKernels),
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).gemmCudaKernels,
    },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).gemmWebGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).gemmCpuKernels,
};
