import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of what is computed element by element. */
export const activationKernels: KernelLibrary = {
  name: 'activation',
  cuda: [
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).activationCudaKernels,
    },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).activationWebGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).activationCpuKernels,
};
