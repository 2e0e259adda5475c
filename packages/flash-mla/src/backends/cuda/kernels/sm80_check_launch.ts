import { type CheckNumbersArgs, checkNumbers } from '../check-numbers.ts';
import type { CudaKernel, KernelSpec, LaunchPlan, OperationPlan } from '../kernel.ts';
import { buildCheck, type CheckConfig, type CheckParams } from './sm80_check.ts';

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
  problemOf: ({ check }: CheckNumbersArgs): CheckConfig => ({
    ascending: check.ascending,
    hasCounts: check.counts !== undefined,
  }),
  keyOf: (problem) => ({ ...problem }),
  plan: (config) => ({
    launches: { main: { kernel: checkSpec, config, grid } },
    workspaceBytes: 0,
  }),

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return ({ check, sequence, report }, _, call) => {
      const { shape, strides } = check.values;
      const [outer, rows, columns, ...outerStrides] = asThree(shape, strides);
      set.values(context.address(check.values));
      set.strides(outerStrides);
      set.outer(outer);
      set.rows(rows);
      set.columns(columns);
      set.low(check.low);
      set.high(check.high);
      set.alsoAllowed(check.alsoAllowed);
      set.counts(context.address(check.counts));
      set.unit(check.unit);
      set.sequence(sequence);
      set.report(report);
      main.enqueue(call, grid);
    };
  },
} satisfies CudaKernel<CheckNumbersArgs, CheckConfig, CheckPlan>;

/** (outer, rows, columns) of a tensor of rank 1 to 3, and the strides of the first two. */
function asThree(
  shape: readonly number[],
  strides: readonly number[],
): [number, number, number, number, number] {
  const [a = 0, b = 0, c = 0] = shape;
  const [strideA = 0, strideB = 0] = strides;
  if (shape.length === 1) return [1, 1, a, 0, 0];
  if (shape.length === 2) return [a, 1, b, strideA, 0];
  return [a, b, c, strideA, strideB];
}
