import type { TensorView } from '../../runtime/tensor/view.ts';

/** bf16 rows → packed FP8 rows. */
export interface QuantizeArgs {
  readonly layout: 'v32' | 'model1';
  /** bf16 (blocks, page, 1, dQk), contiguous. */
  readonly source: TensorView;
  /** u8 (blocks, page, 1, rowBytes); strides[0] may exceed page×rowBytes. */
  readonly target: TensorView;
}

/** Packed FP8 rows → bf16 rows. */
export interface DequantizeArgs {
  readonly layout: 'v32' | 'model1';
  /** u8 (blocks, page, 1, rowBytes). */
  readonly source: TensorView;
  /** bf16 (blocks, page, 1, dQk), contiguous. */
  readonly target: TensorView;
}

/** Rows → the tokens of a paged cache that slots name. */
export interface AppendArgs {
  /** `plain`: a row of the cache is the row as it is given. */
  readonly layout: 'v32' | 'model1' | 'plain';
  /** (n, heads, dQk), n at least 1, any outer strides: bf16, or, plain, the dtype of the cache. */
  readonly rows: TensorView;
  /** i32 or i64 (n): block·page + offset; what is outside the cache is skipped. */
  readonly slots: TensorView;
  /** (blocks, page, heads, dQk), or u8 (blocks, page, 1, rowBytes) as in `SparseCache`. */
  readonly kCache: TensorView;
}
