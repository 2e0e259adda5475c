import type {
  CacheAttentionProblem,
  VarlenAttentionProblem,
} from '../reference/dense-attention.ts';
import type { DenseDecodeProblem } from '../reference/dense-decode.ts';
import type { SparseDecodeProblem } from '../reference/sparse-decode.ts';
import type { SparsePrefillProblem } from '../reference/sparse-prefill.ts';

/** A problem of attention: the arguments of one of its public functions, on the host. */
export type AttentionProblem =
  | DenseDecode
  | SparseDecode
  | SparsePrefill
  | VarlenAttention
  | CacheAttention;

/** `flashMlaWithKvCache` without indices. */
export interface DenseDecode extends DenseDecodeProblem {
  readonly op: 'dense-decode';
}

/** `flashMlaWithKvCache` with indices. Packed caches are (blocks, page, 1, rowBytes). */
export interface SparseDecode extends SparseDecodeProblem {
  readonly op: 'sparse-decode';
}

/** `flashMlaSparseFwd`. */
export interface SparsePrefill extends SparsePrefillProblem {
  readonly op: 'sparse-prefill';
}

/** `flashAttnVarlenFunc`. */
export interface VarlenAttention extends VarlenAttentionProblem {
  readonly op: 'varlen-attention';
}

/** `flashAttnWithKvCache`. */
export interface CacheAttention extends CacheAttentionProblem {
  readonly op: 'cache-attention';
}
