import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Arguments of a call of {@link appendLatentsOperation}, checked. */
export interface AppendLatentsArgs {
  /** bf16 or f32 (rows, latent + rope), rows may be apart. */
  readonly latents: TensorView;
  /** bf16 or f32 (latent). */
  readonly weight: TensorView;
  readonly eps: number;
  /** f32 (positions, rope / 2), contiguous. */
  readonly cos: TensorView;
  readonly sin: TensorView;
  /** i32 (rows): rows of the tables; absent: row i has position i. Beyond the tables nothing is rotated. */
  readonly positions: TensorView | undefined;
  readonly interleaved: boolean;
  /** bf16 or f32 (rows, heads, rope), any outer strides. */
  readonly queries: TensorView;
  /** bf16 or f32 (rows, heads, rope), any outer strides; not `queries`. */
  readonly rotatedQueries: TensorView;
  /** bf16 (blocks, page, 1, latent + rope), any outer strides. */
  readonly kCache: TensorView;
  /** i32 (rows): block · page + offset; what is outside of the cache is skipped. */
  readonly slots: TensorView;
}

/** Everything between the projections of an MLA layer's input and its attention. */
export const appendLatentsOperation = defineOperation<AppendLatentsArgs>({
  name: 'appendLatents',
  reads: ({ latents, weight, cos, sin, positions, queries, slots }) => [
    ...[latents, weight, cos, sin, positions, queries, slots],
  ],
  writes: ({ kCache, rotatedQueries }) => [kCache, rotatedQueries],
});
