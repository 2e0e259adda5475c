/** What kernels of rows see of their tensors, and what of it is their configuration and key. */

import { type DType, dtypeSize } from '@flash-mla/core';
import { placementOf } from '../../../../runtime/cuda/placement.ts';
import type { TensorView } from '../../../../runtime/tensor/view.ts';
import { asAlignment } from '../sm80/copy.ts';
import type { RowLayout, RowOutDType } from './columns.ts';

/** How the rows of a tensor lie in memory. */
export interface RowsProblem {
  readonly dtype: DType;
  /** Elements between neighbours along each dimension but the last. */
  readonly strides: readonly number[];
  readonly alignment: number;
}

export function rowsOf(view: TensorView): RowsProblem {
  const outer = view.shape.slice(0, -1).map((_, d) => d);
  return { dtype: view.dtype, ...placementOf(view, outer) };
}

/** What the code depends on. */
export function layoutOf<D extends RowOutDType>({ dtype, alignment }: RowsProblem): RowLayout<D> {
  return { dtype: dtype as D, alignment: asAlignment(alignment) };
}

export function layoutKey(layout: RowLayout | undefined): string | undefined {
  return layout && `${layout.dtype} by ${layout.alignment}`;
}

/** Bytes between neighbours along a dimension; 0 where there is nothing to step to. */
export function strideBytes(view: TensorView | undefined, dimension = 0): number {
  if (view === undefined || (view.shape[dimension] ?? 0) < 2) return 0;
  return (view.strides[dimension] ?? 0) * dtypeSize(view.dtype);
}
