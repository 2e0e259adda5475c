import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Arguments of a call of {@link ropeOperation}, checked. */
export interface RopeArgs {
  /** bf16 or f32 (rows, heads, dim), dim even and at most 512; any outer strides. */
  readonly x: TensorView;
  /** f32 (positions, dim / 2), contiguous. */
  readonly cos: TensorView;
  readonly sin: TensorView;
  /** i32 (rows): rows of the tables; absent: row i has position i. Rows beyond the tables stay. */
  readonly positions: TensorView | undefined;
  /** Pairs are neighbours; else column i goes with column i + dim / 2. */
  readonly interleaved: boolean;
  /** bf16 or f32 (rows, heads, dim). May be `x`. */
  readonly out: TensorView;
}

/** Rotary position embedding. */
export const ropeOperation = defineOperation<RopeArgs>({
  name: 'applyRope',
  reads: ({ x, cos, sin, positions }) => [x, cos, sin, positions],
  writes: ({ out }) => [out],
});
