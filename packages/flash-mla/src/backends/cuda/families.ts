import type { KernelFamily } from './kernel.ts';

/** The library's kernels in the order of preference. Each family is imported when a GPU of it is opened. */
export const kernelFamilies: readonly KernelFamily[] = [
  { name: 'sm90', from: 90, to: 90, load: async () => (await import('./kernels/sm90.ts')).sm90 },
  { name: 'sm80', from: 80, load: async () => (await import('./kernels/sm80.ts')).sm80 },
];
