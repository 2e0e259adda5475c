import { checkKernel } from '../debug/sm80_check_launch.ts';
import { type AnyCudaKernel, defineCudaKernel, type KernelFamily } from '../kernel.ts';

/**
 * The kernels for an architecture, preferred ones first; the last is that of debug mode. Empty where no
 * family has any.
 */
export async function loadKernels(
  sm: number,
  families: readonly KernelFamily[],
): Promise<AnyCudaKernel[]> {
  const fitting = families.filter(({ from, to }) => from <= sm && sm <= (to ?? sm));
  const loaded = fitting.map(async ({ name, isBuiltIn = false, load }) =>
    (await load()).map((kernel) => ({ ...kernel, family: name, isBuiltIn })),
  );
  const kernels = (await Promise.all(loaded)).flat();
  return kernels.length === 0 ? [] : [...kernels, defineCudaKernel(checkKernel)];
}
