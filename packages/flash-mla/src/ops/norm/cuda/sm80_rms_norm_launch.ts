import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import {
  layoutKey,
  layoutOf,
  type RowsProblem,
  rowsOf,
  strideBytes,
} from '../../kernel-lib/cuda/rows/problem.ts';
import { type RmsNormArgs, rmsNormOperation } from '../operation.ts';
import { buildRmsNorm, type RmsNormConfig, type RmsNormParams } from './sm80_rms_norm.ts';

/** What kernel selection sees of a call. */
export interface RmsNormProblem {
  readonly rows: number;
  readonly columns: number;
  readonly x: RowsProblem;
  readonly residual: RowsProblem | undefined;
  readonly weight: RowsProblem;
  readonly out: RowsProblem;
  readonly powerOfTwoScales: boolean;
}

export const rmsNormSpec: KernelSpec<RmsNormConfig, RmsNormParams> = {
  name: 'sm80_rms_norm',
  build: buildRmsNorm,
};

interface RmsNormPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<RmsNormConfig, RmsNormParams> };
}

function problemOf({ x, residual, weight, out, powerOfTwoScales }: RmsNormArgs): RmsNormProblem {
  const [rows = 0, columns = 0] = x.shape;
  return {
    ...{ rows, columns, powerOfTwoScales, x: rowsOf(x), out: rowsOf(out), weight: rowsOf(weight) },
    residual: residual && rowsOf(residual),
  };
}

function configOf(problem: RmsNormProblem): RmsNormConfig {
  const { columns, x, residual, weight, out, powerOfTwoScales } = problem;
  return {
    ...{ columns, powerOfTwoScales, x: layoutOf(x), weight: layoutOf(weight), out: layoutOf(out) },
    residual: residual && layoutOf(residual),
  };
}

/** RMSNorm on every GPU. */
export const portableRmsNorm = {
  operation: rmsNormOperation,
  problemOf,

  keyOf(problem) {
    const { columns, x, residual, weight, out, powerOfTwoScales } = configOf(problem);
    return {
      ...{ columns, powerOfTwoScales, x: layoutKey(x), residual: layoutKey(residual) },
      ...{ weight: layoutKey(weight), out: layoutKey(out) },
    };
  },

  plan: (problem) => ({
    launches: {
      main: {
        kernel: rmsNormSpec,
        config: configOf(problem),
        grid: [problem.rows, 1, 1],
        overlap: true,
      },
    },
    workspaceBytes: 0,
  }),

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, { rows }, call) => {
      set.x(context.address(args.x));
      set.residual(context.address(args.residual));
      set.weight(context.address(args.weight));
      set.out(context.address(args.out));
      set.scales(context.address(args.scales));
      set.xStride(strideBytes(args.x));
      set.residualStride(strideBytes(args.residual));
      set.outStride(strideBytes(args.out));
      set.eps(args.eps);
      main.enqueue(call, [rows, 1, 1]);
    };
  },
} satisfies CudaKernel<RmsNormArgs, RmsNormProblem, RmsNormPlan>;
