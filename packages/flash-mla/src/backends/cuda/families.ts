import type { AnyCudaKernel, KernelFamily } from './kernel.ts';

/** The library's kernels in the order of preference. Each family is imported when a GPU of it is opened. */
export const kernelFamilies: readonly KernelFamily[] = [
  { name: 'sm90', from: 90, to: 90, load: async () => (await import('./kernels/sm90.ts')).sm90 },
  { name: 'sm80', from: 80, load: async () => (await import('./kernels/sm80.ts')).sm80 },
];

/** The kernels for an architecture, preferred ones first. */
export async function loadKernels(
  sm: number,
  families: readonly KernelFamily[] = kernelFamilies,
): Promise<AnyCudaKernel[]> {
  const fitting = families.filter(({ from, to }) => from <= sm && sm <= (to ?? sm));
  const loaded = fitting.map(async ({ name, load }) =>
    (await load()).map((kernel) => ({ ...kernel, family: name })),
  );
  return (await Promise.all(loaded)).flat();
}
