/**
 * What kernel selection sees of a call: plain, printable data, no addresses and no tensors. Two calls
 * with equal problems run the same kernels with the same launch sizes.
 */

import type { Placement } from '../../../runtime/cuda/placement.ts';
import type { KvRowLayout } from '../../kernel-lib/row-layout.ts';
import type { SchedulePlan, ScheduleProblem } from '../schedule-contract.ts';

/** Problem of `computeSchedule`. */
export interface ComputeScheduleProblem {
  readonly problem: ScheduleProblem;
  readonly plan: SchedulePlan;
  /** Whether `topkLength` and `extraTopkLength` are given (sparse only). */
  readonly hasTopkLength: boolean;
  readonly hasExtraTopkLength: boolean;
}

/** A dense decode call without its schedule and outputs: what chooses the kernel. */
export interface DenseDecodeShape {
  readonly dtype: 'bf16' | 'f16' | 'e4m3';
  readonly batch: number;
  readonly seqLenQ: number;
  readonly numHeadsQ: number;
  readonly numHeadsKv: number;
  readonly headDimQk: number;
  readonly headDimV: number;
  readonly causal: boolean;
  readonly softmaxScale: number;
  /** The cache: blocks × tokens. */
  readonly numBlocks: number;
  readonly pageSize: number;
  /** Columns of the block table and the elements between its rows. */
  readonly maxBlocks: number;
  readonly blockTableStride: number;
  readonly hasDescaleQ: boolean;
  readonly hasDescaleK: boolean;
  /** Strides (b, sQ, hQ). */
  readonly q: Placement;
  /** Strides (block, token, hKv). */
  readonly kCache: Placement;
}

/** Problem of `denseDecode`. `seqlens`, `numSplits` and `descale*` are contiguous vectors. */
export interface DenseDecodeProblem extends DenseDecodeShape {
  readonly outDtype: 'bf16' | 'f16';
  readonly plan: SchedulePlan;
  /** The longest sequence that the schedule may count, in tokens; undefined: any. */
  readonly scheduledSeqLenK: number | undefined;
}

/** One cache of a {@link SparseDecodeProblem}. */
export interface SparseCacheProblem {
  readonly numBlocks: number;
  readonly pageSize: number;
  readonly topk: number;
  readonly hasTopkLength: boolean;
  /** Strides (block, token) in elements of the cache: bytes for packed rows. */
  readonly kCache: Placement;
  /** Strides (b, sQ). */
  readonly indices: Placement;
}

/** A sparse decode call without its schedule and outputs: what chooses the kernel. */
export interface SparseDecodeShape {
  readonly layout: KvRowLayout;
  readonly batch: number;
  readonly seqLenQ: number;
  readonly numHeadsQ: number;
  readonly headDimQk: number;
  readonly headDimV: number;
  readonly softmaxScale: number;
  readonly hasAttnSink: boolean;
  /** Strides (b, sQ, hQ). */
  readonly q: Placement;
  readonly main: SparseCacheProblem;
  readonly extra: SparseCacheProblem | undefined;
}

/** Problem of `sparseDecode`. */
export interface SparseDecodeProblem extends SparseDecodeShape {
  readonly plan: SchedulePlan;
}

/** Problem of `sparsePrefill`. */
export interface SparsePrefillProblem {
  readonly seqLenQ: number;
  readonly numHeadsQ: number;
  readonly seqLenKv: number;
  readonly numHeadsKv: number;
  readonly headDimQk: number;
  readonly headDimV: number;
  readonly topk: number;
  readonly smScale: number;
  readonly hasTopkLength: boolean;
  readonly hasAttnSink: boolean;
  /** Strides (sQ, hQ). */
  readonly q: Placement;
  /** Strides (sKv, hKv). */
  readonly kv: Placement;
  /** Strides (sQ, hKv). */
  readonly indices: Placement;
}

/** Problem of `denseAttention`. */
export interface DenseAttentionProblem {
  readonly dtype: 'bf16' | 'f16';
  readonly batch: number;
  readonly totalQ: number;
  /** Rows of packed keys; 0 for a cache. */
  readonly totalK: number;
  readonly numHeadsQ: number;
  readonly numHeadsKv: number;
  readonly headDimQk: number;
  readonly headDimV: number;
  readonly causal: boolean;
  readonly softmaxScale: number;
  readonly maxSeqLenQ: number;
  readonly maxSeqLenK: number;
  readonly hasCuSeqlensQ: boolean;
  /** `packed`: cuSeqlensK; `paged`: seqlensK and a block table; `blocks`: seqlensK, one block each. */
  readonly keys: 'packed' | 'paged' | 'blocks';
  /** Cache only; 0 for packed keys. Columns of the block table and elements between its rows. */
  readonly numBlocks: number;
  readonly pageSize: number;
  readonly maxBlocks: number;
  readonly blockTableStride: number;
  /** Strides (totalQ, hQ). */
  readonly q: Placement;
  /** Strides (totalK, hKv), or (block, token, hKv) in a cache. */
  readonly k: Placement;
  readonly v: Placement;
}
