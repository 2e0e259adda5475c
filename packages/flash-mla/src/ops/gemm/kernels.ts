import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of matrix products. */
export const gemmKernels: KernelLibrary = {
  name: 'gemm',
  cuda: [
    {
      ...{ name: 'sm90', from: 90, to: 90 },
      load: async () => (await import('./cuda/sm90.ts')).hopperGemmKernels,
    },
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).gemmCudaKernels,
    },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).gemmWebGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).gemmCpuKernels,
};
