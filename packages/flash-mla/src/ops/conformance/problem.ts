import type {
  AppendProblem,
  CacheAttentionProblem,
  DenseDecodeProblem,
  HostTensor,
  SparseDecodeProblem,
  SparsePrefillProblem,
  VarlenAttentionProblem,
} from '../reference.ts';

/**
 * A problem is the arguments of one operation, on the host: what a case file holds, what the
 * conformance suite generates, what the reference answers and what a device runs.
 */
export type Problem =
  | DenseDecode
  | SparseDecode
  | SparsePrefill
  | VarlenAttention
  | CacheAttention
  | QuantizeKvCache
  | DequantizeKvCache
  | AppendKvCache;

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

/** `quantizeKvCache`. */
export interface QuantizeKvCache {
  readonly op: 'quantize';
  readonly layout: 'v32' | 'model1';
  /** bf16 (blocks, page, 1, dQk). */
  readonly kCache: HostTensor<'bf16'>;
}

/** `dequantizeKvCache`. */
export interface DequantizeKvCache {
  readonly op: 'dequantize';
  readonly layout: 'v32' | 'model1';
  /** u8 (blocks, page, 1, rowBytes). */
  readonly kCache: HostTensor<'u8'>;
}

/** `appendKvCache`. The answer is the cache. */
export interface AppendKvCache extends AppendProblem {
  readonly op: 'append';
}

export type Op = Problem['op'];

/**
 * The results of an operation: `out` always, `lse` of every attention, `max_logits` of a prefill.
 * Names are those of case files.
 */
export type Answers = Readonly<Partial<Record<AnswerName, HostTensor>>>;

export type AnswerName = 'out' | 'lse' | 'max_logits';

/** In the order of reports. */
export const answerNames: readonly AnswerName[] = ['out', 'lse', 'max_logits'];
