import { afterEach, describe, expect, it, vi } from 'vitest';
import { openDevice } from '../../../index.ts';
import { runConformance } from '../../cases.ts';
import { hopperGemmKernels } from '../../gemm/cuda/warp-groups.ts';
import { optionalHopper, wantsWarpGroups } from '../../kernel-lib/cuda/sm90/products/opt-in.ts';
import { hopperMoeKernels } from '../../moe/cuda/warp-groups.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('products on warp groups', () => {
  it('are for those who ask', async () => {
    expect(wantsWarpGroups({})).toBe(false);
    expect(wantsWarpGroups({ FLASH_MLA_HOPPER_PRODUCTS: '0' })).toBe(false);
    expect(wantsWarpGroups({ FLASH_MLA_HOPPER_PRODUCTS: '1' })).toBe(true);
    const family = optionalHopper(async () => hopperMoeKernels);
    expect(await family.load()).toEqual([]);
    vi.stubEnv('FLASH_MLA_HOPPER_PRODUCTS', '1');
    expect(await family.load()).toBe(hopperMoeKernels);
  });

  it.each([
    'linear rows=33',
    'linear rows=34',
    'linear rows=70',
    'mlp rows=1 ',
    'mlp rows=33',
    'mlp rows=100',
  ])(
    'pass the conformance suite: %s',
    async (filter) => {
      const kernels = [...hopperGemmKernels, ...hopperMoeKernels];
      const family = { name: 'sm90', from: 90, to: 90, load: async () => kernels };
      const device = await openDevice('sim:2', {
        kernels: [{ name: 'warp groups', cuda: [family] }],
      });
      let passed = 0;
      for await (const { name, message } of runConformance(device, { filter })) {
        expect([name, message]).toEqual([name, '']);
        passed++;
      }
      expect(passed).toBeGreaterThan(0);
      await device.dispose();
    },
    120_000,
  );
});
