import type {
  BindContext,
  LaunchPlan,
  OperationPlan,
  ParamSetters,
} from '../../../runtime/cuda/kernel.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { type RowsProblem, rowsOf, strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import { type GemmArgs, type GemmSizes, gemmSizes } from '../operation.ts';
import type { GemmConfig, GemmParams } from './config.ts';

/** What kernel selection sees of a call. */
export interface GemmProblem extends GemmSizes {
  readonly transposed: boolean;
  /** Strides (rows, batch). */
  readonly x: RowsProblem;
  /** Strides (batch, rows of weights). */
  readonly weight: RowsProblem;
  readonly allowsE4m3Rows: boolean;
  readonly bias: RowDType | undefined;
  readonly residual: RowDType | undefined;
  readonly out: RowDType;
  /** Divides the address of every row of the result. */
  readonly outAlignment: number;
}

/** A product is one launch. */
export interface GemmPlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<GemmConfig, GemmParams> };
}

export function problemOf(args: GemmArgs): GemmProblem {
  const { x, weight, transposed, allowsE4m3Rows, bias, residual, out } = args;
  return {
    ...{ ...gemmSizes(args), transposed, allowsE4m3Rows, x: rowsOf(x), weight: rowsOf(weight) },
    bias: bias?.dtype as RowDType | undefined,
    residual: residual?.dtype as RowDType | undefined,
    out: out.dtype as RowDType,
    outAlignment: rowsOf(out).alignment,
  };
}

/** Parameters of every product. */
type CommonParams = Omit<GemmParams, 'x' | 'weight' | 'weightScales'>;

/** Writes a call's addresses, sizes and strides to a launch. */
export function setGemm(
  context: BindContext,
  set: ParamSetters<GemmParams>,
  args: GemmArgs,
  problem: GemmProblem,
): void {
  set.x(context.address(args.x));
  set.weight(context.address(args.weight));
  set.weightScales(context.address(args.weightScales));
  setCommon(context, set, args, problem);
}

/** Those of them that do not say where operands are. */
export function setCommon(
  context: BindContext,
  set: ParamSetters<CommonParams>,
  args: GemmArgs,
  problem: GemmProblem,
): void {
  const { x, weight, weightScales, bias, residual, out, scale } = args;
  set.bias(context.address(bias));
  set.residual(context.address(residual));
  set.out(context.address(out));
  set.rows(problem.rows);
  set.columns(problem.columns);
  set.depth(problem.depth);
  set.scalesStride(weightScales?.strides[0] ?? 0);
  set.scale(scale);
  const isConstant =
    context.isConstant(weight) && (!weightScales || context.isConstant(weightScales));
  set.fetchesEarly(isConstant ? 1 : 0);
  set.xStride(strideBytes(x, 0));
  set.xBatchStride(strideBytes(x, 1));
  set.weightStride(strideBytes(weight, 1));
  set.weightBatchStride(strideBytes(weight, 0));
  set.residualStride(strideBytes(residual, 0));
  set.residualBatchStride(strideBytes(residual, 1));
  set.outStride(strideBytes(out, 0));
  set.outBatchStride(strideBytes(out, 1));
}
