import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of latents. Elsewhere the calls that they stand for cost less than a launch saves. */
export const latentKernels: KernelLibrary = {
  name: 'latent',
  cuda: [
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).latentCudaKernels,
    },
  ],
};
