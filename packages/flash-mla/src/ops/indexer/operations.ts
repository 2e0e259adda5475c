import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Where quantised rows go: queries with their weights, or keys into the paged cache. */
export type IndexRowsTarget =
  | {
      readonly kind: 'queries';
      /** bf16 or f32 (rows, heads); any row stride. */
      readonly weights: TensorView;
      /** e4m3 (rows, heads, 128), contiguous. */
      readonly out: TensorView;
      /** f32 (rows, heads), contiguous. */
      readonly outWeights: TensorView;
    }
  | {
      readonly kind: 'keys';
      /** bf16 or f32 (128), contiguous, both of one dtype. */
      readonly normWeight: TensorView;
      readonly normBias: TensorView;
      readonly eps: number;
      /** u8 (pages, P, 1, 132), contiguous. */
      readonly cache: TensorView;
      /** i32 (rows): page · P + place; a row whose slot is none is not stored. */
      readonly slots: TensorView;
    };

/** Arguments of a call of {@link indexRowsOperation}, checked. */
export interface IndexRowsArgs {
  /** bf16 or f32 (rows, heads, 128); any outer strides. Keys have one head. */
  readonly x: TensorView;
  /** f32 (positions, 32), contiguous. */
  readonly cos: TensorView;
  readonly sin: TensorView;
  /** i32 (rows). Rows beyond the tables are not rotated. */
  readonly positions: TensorView;
  readonly interleaved: boolean;
  readonly hadamard: boolean;
  readonly target: IndexRowsTarget;
}

/** Norm of keys, rotation, Hadamard and rounding to e4m3 of index queries or keys. */
export const indexRowsOperation = defineOperation<IndexRowsArgs>({
  name: 'indexRows',
  reads: ({ x, cos, sin, positions, target }) =>
    target.kind === 'queries'
      ? [x, cos, sin, positions, target.weights]
      : [x, cos, sin, positions, target.normWeight, target.normBias, target.slots],
  writes: ({ target }) =>
    target.kind === 'queries' ? [target.out, target.outWeights] : [target.cache],
});

/** Keys of the indexer: pages of a cache that each request names, or rows for all queries. */
export type IndexKeys =
  | {
      readonly kind: 'paged';
      /** u8 (pages, P, 1, 132), contiguous. */
      readonly cache: TensorView;
      /** i32 (requests, width); any row stride. */
      readonly blockTable: TensorView;
    }
  | {
      readonly kind: 'ragged';
      /** e4m3 (keys, 128), contiguous. */
      readonly keys: TensorView;
      /** f32 (keys), contiguous. */
      readonly scales: TensorView;
      /** i32 (rows): the first key of each query. */
      readonly starts: TensorView;
    };

/** Arguments of a call of {@link mqaLogitsOperation}, checked. rows = requests · queries of each. */
export interface MqaLogitsArgs {
  /** e4m3 (rows, heads, 128), contiguous. */
  readonly q: TensorView;
  /** f32 (rows, heads), contiguous. */
  readonly weights: TensorView;
  readonly keys: IndexKeys;
  /** Queries of each request, which follow one another. */
  readonly queriesPerRequest: number;
  /** i32 (rows): where the keys of each query end. */
  readonly ends: TensorView;
  /** −∞ goes to columns without a key; else they stay as they are. */
  readonly cleanLogits: boolean;
  /** f32 (rows, columns); any row stride. */
  readonly logits: TensorView;
}

/** Logits of the lightning indexer. */
export const mqaLogitsOperation = defineOperation<MqaLogitsArgs>({
  name: 'mqaLogits',
  reads: ({ q, weights, ends, keys }) =>
    keys.kind === 'paged'
      ? [q, weights, ends, keys.cache, keys.blockTable]
      : [q, weights, ends, keys.keys, keys.scales, keys.starts],
  writes: ({ logits }) => [logits],
});

/** Arguments of a call of {@link indexTopKOperation}, checked. */
export interface IndexTopKArgs {
  /** f32 (rows, columns); any row stride. */
  readonly logits: TensorView;
  /** i32 (rows): the first column of each row; absent: 0. */
  readonly starts: TensorView | undefined;
  /** i32 (rows): columns end here, and at the width of `logits`. */
  readonly ends: TensorView;
  /** i32 (requests, width), any row stride; absent: indices are positions. */
  readonly blockTable: TensorView | undefined;
  /** Tokens of a page of the table; 0 without one. */
  readonly pageSize: number;
  readonly queriesPerRequest: number;
  /** i32 (rows, K), contiguous. */
  readonly indices: TensorView;
}

/** The K largest logits of each row. */
export const indexTopKOperation = defineOperation<IndexTopKArgs>({
  name: 'indexTopK',
  reads: ({ logits, starts, ends, blockTable }) => [logits, starts, ends, blockTable],
  writes: ({ indices }) => [indices],
});
