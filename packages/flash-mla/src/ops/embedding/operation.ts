import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Arguments of a call of {@link embeddingOperation}, checked. Rows may be apart. */
export interface EmbeddingArgs {
  /** bf16 or f32 (entries, columns). */
  readonly table: TensorView;
  /** i32 (rows), contiguous; what is no entry gives zeros. */
  readonly ids: TensorView;
  readonly scale: number;
  /** bf16 or f32 (rows, columns). */
  readonly out: TensorView;
}

/** Rows of a table. */
export const embeddingOperation = defineOperation<EmbeddingArgs>({
  name: 'embedding',
  reads: ({ table, ids }) => [table, ids],
  writes: ({ out }) => [out],
});
