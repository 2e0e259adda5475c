import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Arguments of a call of {@link swiGluOperation}, checked. Rows may be apart. */
export interface SwiGluArgs {
  /** bf16 or f32 (rows, 2 · columns): the gate, then what it is multiplied with. */
  readonly x: TensorView;
  /** bf16 or f32 (rows, columns). */
  readonly out: TensorView;
}

/** silu(gate) · up. */
export const swiGluOperation = defineOperation<SwiGluArgs>({
  name: 'swiGlu',
  reads: ({ x }) => [x],
  writes: ({ out }) => [out],
});

/** Arguments of a call of {@link addScaledOperation}, checked. Rows may be apart. */
export interface AddScaledArgs {
  /** bf16 or f32 (rows, columns). */
  readonly x: TensorView;
  readonly scale: number;
  /** bf16 or f32 (rows, columns): becomes target + scale · x. */
  readonly target: TensorView;
}

/** Adds rows to others. */
export const addScaledOperation = defineOperation<AddScaledArgs>({
  name: 'addScaled',
  reads: ({ x, target }) => [x, target],
  writes: ({ target }) => [target],
});
