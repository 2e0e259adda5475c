import { dtypeSize } from '@flash-mla/core';
import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../backends/cuda/kernel.ts';
import { asAlignment } from '../../backends/cuda/kernels/mla/copy.ts';
import type { RowLayout } from '../../backends/cuda/kernels/rows/columns.ts';
import { placementOf } from '../../backends/cuda/placement.ts';
import type { Placement } from '../../backends/cuda/problems.ts';
import type { TensorView } from '../../tensor/view.ts';
import { type RmsNormArgs, rmsNormOperation } from '../operation.ts';
import { buildRmsNorm, type RmsNormConfig, type RmsNormParams } from './sm80_rms_norm.ts';

/** How the rows of a matrix lie in memory. */
export interface RowsProblem {
  readonly dtype: TensorView['dtype'];
  /** Stride (rows) in elements. */
  readonly placement: Placement;
}

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
  const ofRows = (view: TensorView) => ({ dtype: view.dtype, placement: placementOf(view, [0]) });
  return {
    ...{ rows, columns, powerOfTwoScales, x: ofRows(x), out: ofRows(out) },
    weight: { dtype: weight.dtype, placement: placementOf(weight, []) },
    residual: residual && ofRows(residual),
  };
}

const layoutOf = <D extends RowLayout['dtype']>({ dtype, placement }: RowsProblem) =>
  ({ dtype: dtype as D, alignment: asAlignment(placement.alignment) }) as RowLayout<D>;

function configOf(problem: RmsNormProblem): RmsNormConfig {
  const { columns, x, residual, weight, out, powerOfTwoScales } = problem;
  return {
    ...{ columns, powerOfTwoScales, x: layoutOf(x), weight: layoutOf(weight), out: layoutOf(out) },
    residual: residual && layoutOf(residual),
  };
}

const keyOf = (layout: RowLayout | undefined) => layout && `${layout.dtype} by ${layout.alignment}`;

const strideBytes = (view: TensorView | undefined) =>
  view && (view.shape[0] ?? 0) > 1 ? (view.strides[0] ?? 0) * dtypeSize(view.dtype) : 0;

/** RMSNorm on every GPU. */
export const portableRmsNorm = {
  operation: rmsNormOperation,
  problemOf,

  keyOf(problem) {
    const { columns, x, residual, weight, out, powerOfTwoScales } = configOf(problem);
    return {
      ...{ columns, powerOfTwoScales, x: keyOf(x), residual: keyOf(residual) },
      ...{ weight: keyOf(weight), out: keyOf(out) },
    };
  },

  plan: (problem) => ({
    launches: {
      main: { kernel: rmsNormSpec, config: configOf(problem), grid: [problem.rows, 1, 1] },
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
