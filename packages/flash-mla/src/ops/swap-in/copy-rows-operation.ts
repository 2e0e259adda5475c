import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Arguments of a call of {@link copyRowsOperation}, checked. All are contiguous. */
export interface CopyRowsArgs {
  /** (pages, P, 1, columns). */
  readonly source: TensorView;
  /** (pages, P, 1, columns) of the same dtype, written. */
  readonly target: TensorView;
  /** i32 (requests, K). */
  readonly sourceRows: TensorView;
  readonly targetRows: TensorView;
  /** i32 (requests). */
  readonly counts: TensorView | undefined;
}

/** Copies rows of a paged cache to rows of another one. */
export const copyRowsOperation = defineOperation<CopyRowsArgs>({
  name: 'copyRows',
  reads: ({ source, sourceRows, targetRows, counts }) => [
    ...[source, sourceRows, targetRows],
    ...(counts ? [counts] : []),
  ],
  writes: ({ target }) => [target],
});
