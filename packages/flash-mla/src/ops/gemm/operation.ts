import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/**
 * Arguments of a call of {@link gemmOperation}, checked. Every extent is at least 1. Outer strides are
 * anything, the last one is 1.
 */
export interface GemmArgs {
  /** bf16 or f32 (rows, batch, depth). */
  readonly x: TensorView;
  /** bf16, f32 or e4m3 (batch, columns, depth); `transposed`: bf16 or f32 (batch, depth, columns). */
  readonly weight: TensorView;
  readonly transposed: boolean;
  /** f32 (⌈columns / 128⌉, ⌈depth / 128⌉), for e4m3 weights; then batch is 1. */
  readonly weightScales: TensorView | undefined;
  /** bf16 or f32 (columns). */
  readonly bias: TensorView | undefined;
  /** bf16 or f32 (rows, batch, columns). May be `out`. */
  readonly residual: TensorView | undefined;
  readonly scale: number;
  /** Whether rows of x may be rounded to e4m3, with a scale for each 128 of the depth; e4m3 weights only. */
  readonly allowsE4m3Rows: boolean;
  /** bf16 or f32 (rows, batch, columns): `scale · (x · weightᵀ + bias) + residual`. */
  readonly out: TensorView;
}

/** Matrix products with weights. */
export const gemmOperation = defineOperation<GemmArgs>({
  name: 'gemm',
  reads: ({ x, weight, weightScales, bias, residual }) => [x, weight, weightScales, bias, residual],
  writes: ({ out }) => [out],
});

/** The sizes of a call. */
export interface GemmSizes {
  readonly rows: number;
  readonly batch: number;
  readonly columns: number;
  readonly depth: number;
}

export function gemmSizes({ x, out }: Pick<GemmArgs, 'x' | 'out'>): GemmSizes {
  const [rows = 0, batch = 0, depth = 0] = x.shape;
  return { rows, batch, depth, columns: out.shape[2] ?? 0 };
}
