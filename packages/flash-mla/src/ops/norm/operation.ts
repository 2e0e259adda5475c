import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Arguments of a call of {@link rmsNormOperation}, checked. Rows may be apart, columns are not. */
export interface RmsNormArgs {
  /** bf16 or f32 (rows, columns), both at least 1. */
  readonly x: TensorView;
  /** bf16 or f32 (rows, columns): becomes `x + residual`, which is what is normed. */
  readonly residual: TensorView | undefined;
  /** bf16 or f32 (columns). */
  readonly weight: TensorView;
  readonly eps: number;
  /** bf16, f32 or e4m3 (rows, columns). */
  readonly out: TensorView;
  /** f32 (rows, columns / 128), contiguous; e4m3 only. */
  readonly scales: TensorView | undefined;
  /** Scales are rounded up to powers of two. */
  readonly powerOfTwoScales: boolean;
}

/** RMSNorm of rows, after adding them to a residual. */
export const rmsNormOperation = defineOperation<RmsNormArgs>({
  name: 'rmsNorm',
  reads: ({ x, weight, residual }) => [x, weight, residual],
  writes: ({ out, scales, residual }) => [out, scales, residual],
});
