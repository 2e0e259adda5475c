import type { KernelFamily } from '../../../../../runtime/cuda/kernel.ts';

const variable = 'FLASH_MLA_HOPPER_PRODUCTS';

/** Whether the environment asks for products on warp groups: `1` does, all else does not. */
export function wantsWarpGroups(
  variables: Readonly<Record<string, string | undefined>> = globalThis.process?.env ?? {},
): boolean {
  return variables[variable] === '1';
}

/**
 * A family of kernels on Hopper's warp groups that is used where the environment asks for it. Its kernels
 * pass the conformance suite on an H200; to be the default they must be measured against what is.
 */
export function optionalHopper(load: KernelFamily['load']): KernelFamily {
  return {
    ...{ name: 'sm90', from: 90, to: 90 },
    load: async () => (wantsWarpGroups() ? load() : []),
  };
}
