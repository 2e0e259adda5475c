import type { CudaKernel, KernelSpec, LaunchPlan, OperationPlan } from '../kernel.ts';
import { type CheckNumbersArgs, checkNumbers } from './check-numbers.ts';
import { buildCheck, type CheckParams } from './sm80_check.ts';

type CheckConfig = Record<never, never>;

export const checkSpec: KernelSpec<CheckConfig, CheckParams> = {
  name: 'sm80_check',
  build: buildCheck,
};

interface CheckPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<CheckConfig, CheckParams> };
}

const grid = [1, 1, 1] as const;

/** Debug mode's look at tensors of numbers. One CTA suffices: it must only be right. */
export const checkKernel = {
  operation: checkNumbers,
  problemOf: ({ check }) => ({ count: check.values.shape[0] ?? 0 }),
  keyOf: () => ({}),
  plan: () => ({
    launches: { main: { kernel: checkSpec, config: {}, grid } },
    workspaceBytes: 0,
  }),

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return ({ check, sequence, report }, { count }, call) => {
      set.values(context.address(check.values));
      set.count(count);
      set.low(check.low);
      set.high(check.high);
      set.sequence(sequence);
      set.report(report);
      main.enqueue(call, grid);
    };
  },
} satisfies CudaKernel<CheckNumbersArgs, { readonly count: number }, CheckPlan>;
