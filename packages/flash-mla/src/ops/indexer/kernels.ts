import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of the lightning indexer. */
export const indexerKernels: KernelLibrary = {
  name: 'indexer',
  cuda: [
    {
      ...{ name: 'sm90', from: 90, to: 90 },
      load: async () => (await import('./cuda/hopper-kernels.ts')).hopperIndexerKernels,
    },
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).indexerCudaKernels,
    },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).indexerWebGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).indexerCpuKernels,
};
