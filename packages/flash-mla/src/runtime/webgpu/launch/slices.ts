import { dtypeSize } from '@flash-mla/core';
import type { TensorView } from '../../tensor/view.ts';
import type { LaunchTarget } from '../runtime/runtime.ts';
import { strideOf } from '../runtime/views.ts';

/** Entries along the first dimension whose bytes fit a binding, wherever they begin; at least one. */
export function positionsPerBinding({ capabilities }: LaunchTarget, view: TensorView): number {
  const bytes = Math.max(1, strideOf(view, 0) * dtypeSize(view.dtype));
  const room = capabilities.bindingBytes - 2 * capabilities.offsetAlignment;
  return Math.max(1, Math.floor(room / bytes));
}

/** Entries `first` to `end` along the first dimension. */
export function slicePositions(view: TensorView, first: number, end: number): TensorView {
  const [, ...shape] = view.shape;
  const { buffer, dtype, strides } = view;
  const byteOffset = view.byteOffset + first * strideOf(view, 0) * dtypeSize(dtype);
  return { buffer, dtype, strides, shape: [end - first, ...shape], byteOffset };
}
