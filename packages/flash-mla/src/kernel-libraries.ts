import { kernelFamilies } from './backends/cuda/families.ts';
import type { KernelLibrary } from './backends/kernel-library.ts';

/** The kernels of this library's own operations. */
export const flashMlaKernels: KernelLibrary = {
  name: 'flash-mla',
  cuda: kernelFamilies,
  webgpu: async () => (await import('./backends/webgpu/launch/kernels.ts')).webGpuKernels,
  cpu: async () => (await import('./backends/cpu/commands/kernels.ts')).cpuKernels,
};
