import type { TensorView } from '../tensor/view.ts';

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
