import type {
  CheckArgs,
  CheckProblem,
  FamilyOperation,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../kernel-family.ts';
import { buildCheck, type CheckConfig, type CheckParams } from './sm80_check.ts';

export const checkSpec: KernelSpec<CheckConfig, CheckParams> = {
  name: 'sm80_check',
  build: buildCheck,
};

interface CheckPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<CheckConfig, CheckParams> };
}

/** Debug mode's look at tensors of numbers. */
export const check: FamilyOperation<CheckProblem, CheckArgs> = {
  plan({ ascending, hasCounts }): CheckPlan {
    const config = { ascending, hasCounts };
    return {
      launches: { main: { kernel: checkSpec, config, grid: [1, 1, 1] } },
      workspaceBytes: 0,
    };
  },

  bind(context, anyPlan, { shape, strides }) {
    const [outer, rows, columns, ...outerStrides] = asThree(shape, strides);
    const main = context.prepare((anyPlan as CheckPlan).launches.main, {
      values: 0,
      strides: outerStrides,
      outer,
      rows,
      columns,
      low: 0,
      high: 0,
      alsoAllowed: 0,
      counts: 0,
      unit: 1,
      sequence: 0,
      report: 0,
    });
    const values = main.setter('values');
    const low = main.setter('low');
    const high = main.setter('high');
    const alsoAllowed = main.setter('alsoAllowed');
    const counts = main.setter('counts');
    const unit = main.setter('unit');
    const sequence = main.setter('sequence');
    const report = main.setter('report');
    return (args) => {
      values(context.address(args.values));
      low(args.low);
      high(args.high);
      alsoAllowed(args.alsoAllowed);
      counts(context.address(args.counts));
      unit(args.unit);
      sequence(args.sequence);
      report(args.report);
      main.enqueue();
    };
  },
};

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
