import type { AnyCudaKernel, KernelFamily } from '../kernel.ts';

/** The kernels for an architecture, preferred ones first. */
export async function loadKernels(
  sm: number,
  families: readonly KernelFamily[],
): Promise<AnyCudaKernel[]> {
  const fitting = families.filter(({ from, to }) => from <= sm && sm <= (to ?? sm));
  const loaded = fitting.map(async ({ name, load }) =>
    (await load()).map((kernel) => ({ ...kernel, family: name })),
  );
  return (await Promise.all(loaded)).flat();
}
