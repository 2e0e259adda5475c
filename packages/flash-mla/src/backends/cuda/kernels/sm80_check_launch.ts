import type {
  CheckArgs,
  CheckProblem,
  FamilyOperation,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../kernel-family.ts';
import { buildCheck, type CheckParams } from './sm80_check.ts';

export const checkSpec: KernelSpec<Record<never, never>, CheckParams> = {
  name: 'sm80_check',
  build: buildCheck,
};

interface CheckPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<Record<never, never>, CheckParams> };
}

/** Debug mode's look at tensors of numbers. */
export const check: FamilyOperation<CheckProblem, CheckArgs> = {
  plan(): CheckPlan {
    return {
      launches: { main: { kernel: checkSpec, config: {}, grid: [1, 1, 1] } },
      workspaceBytes: 0,
    };
  },

  bind(context, anyPlan, { count }) {
    const main = context.prepare((anyPlan as CheckPlan).launches.main, {
      values: 0,
      count,
      low: 0,
      high: 0,
      sequence: 0,
      report: 0,
    });
    const values = main.setter('values');
    const low = main.setter('low');
    const high = main.setter('high');
    const sequence = main.setter('sequence');
    const report = main.setter('report');
    return (args) => {
      values(context.address(args.values));
      low(args.low);
      high(args.high);
      sequence(args.sequence);
      report(args.report);
      main.enqueue();
    };
  },
};
