import type { KernelLibrary } from '../../runtime/device/kernel-library.ts';

/** Kernels of RMSNorm. */
export const normKernels: KernelLibrary = {
  name: 'norm',
  cuda: [
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./cuda/kernels.ts')).normCudaKernels,
    },
  ],
  webgpu: async () => (await import('./webgpu/kernels.ts')).normWebGpuKernels,
  cpu: async () => (await import('./cpu/kernels.ts')).normCpuKernels,
};
