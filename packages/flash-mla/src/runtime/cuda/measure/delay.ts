import { defineKernel } from '@flash-mla/ptx';
import type { KernelSpec } from '../kernel.ts';

/** Parameters of {@link delaySpec}. */
export type DelayParams = typeof params;

const params = { cycles: 'u32' } as const;

/** One thread that lets so many clock cycles pass, and touches no memory. */
export const delaySpec: KernelSpec<Record<never, never>, DelayParams> = {
  name: 'delay',
  build: () =>
    defineKernel({ name: 'delay', params, block: [1] }, (k, { cycles }) => {
      const begin = k.clock64();
      k.while(
        () => k.narrow(k.clock64().sub(begin)).lt(cycles),
        () => k.nanosleep(100),
        { unroll: false },
      );
    }),
};
