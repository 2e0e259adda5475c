import type { AnyCpuKernel } from '../cpu/kernel.ts';
import type { KernelFamily } from '../cuda/kernel.ts';
import type { AnyWebGpuKernel } from '../webgpu/kernel.ts';

/**
 * The kernels that a package of operations brings, for the kinds of devices that it supports. A device
 * is opened with a list of these; nothing registers itself, and only what a device needs is loaded.
 */
export interface KernelLibrary {
  /** For messages. */
  readonly name: string;
  /** For `cuda` and `sim`, in the order of preference. */
  readonly cuda?: readonly KernelFamily[];
  readonly webgpu?: () => Promise<readonly AnyWebGpuKernel[]>;
  readonly cpu?: () => Promise<readonly AnyCpuKernel[]>;
}

/** The CUDA kernels of some libraries, preferred ones first. */
export function familiesOf(libraries: readonly KernelLibrary[]): KernelFamily[] {
  return libraries.flatMap(({ cuda }) => cuda ?? []);
}

/** The loaded lists of some libraries, one after another. */
export async function loadAll<Kernel>(
  loaders: readonly ((() => Promise<readonly Kernel[]>) | undefined)[],
): Promise<Kernel[]> {
  return (await Promise.all(loaders.map((load) => load?.() ?? []))).flat();
}
