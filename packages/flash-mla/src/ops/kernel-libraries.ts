import { activationKernels } from './activation/kernels.ts';
import { familiesOf, type KernelLibrary, loadAll } from './backends/kernel-library.ts';
import { embeddingKernels } from './embedding/kernels.ts';
import { gemmKernels } from './gemm/kernels.ts';
import { moeKernels } from './moe/kernels.ts';
import { normKernels } from './norm/kernels.ts';
import { ropeKernels } from './rope/kernels.ts';

/** Attention and the KV cache. */
const attentionKernels: KernelLibrary = {
  name: 'attention',
  // In the order of preference.
  cuda: [
    {
      ...{ name: 'sm90', from: 90, to: 90 },
      load: async () => (await import('./backends/cuda/kernels/sm90.ts')).sm90,
    },
    {
      ...{ name: 'sm80', from: 80 },
      load: async () => (await import('./backends/cuda/kernels/sm80.ts')).sm80,
    },
  ],
  webgpu: async () => (await import('./backends/webgpu/launch/kernels.ts')).webGpuKernels,
  cpu: async () => (await import('./backends/cpu/commands/kernels.ts')).cpuKernels,
};

/** The kernels of each family of operations. */
const families: readonly KernelLibrary[] = [
  attentionKernels,
  normKernels,
  gemmKernels,
  ropeKernels,
  activationKernels,
  embeddingKernels,
  moeKernels,
];

/** The kernels of this library's own operations. Each list is imported when a device needs it. */
export const flashMlaKernels = {
  name: 'flash-mla',
  cuda: familiesOf(families),
  webgpu: () => loadAll(families.map(({ webgpu }) => webgpu)),
  cpu: () => loadAll(families.map(({ cpu }) => cpu)),
} satisfies KernelLibrary;
