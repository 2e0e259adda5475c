/** The arguments of attention, as kernels get them: checked, with outputs allocated. */

import type { TensorView } from '../../runtime/tensor/view.ts';
import type { KvRowLayout } from '../kernel-lib/row-layout.ts';
import type { Schedule } from './schedule-contract.ts';

/** Dense MLA decoding over a paged cache: all but its schedule and outputs. */
export interface DenseDecodeInputs {
  /** (b, sQ, hQ, dQk) bf16, f16 or e4m3. */
  readonly q: TensorView;
  /** (blocks, page, hKv, dQk), the dtype of q. V is the first `headDimV` columns of a row. */
  readonly kCache: TensorView;
  /** i32 (b, maxBlocks). */
  readonly blockTable: TensorView;
  /** i32 (b): tokens of each request; below 0 counts as 0, beyond maxBlocks·page as that. */
  readonly seqlens: TensorView;
  readonly headDimV: number;
  readonly softmaxScale: number;
  /** Query i of sQ sees keys up to seqlen − sQ + i. */
  readonly causal: boolean;
  /** f32 (1) each; e4m3 only. Not negative. Logits scale by descaleQ·descaleK, the output by descaleK. */
  readonly descaleQ?: TensorView;
  readonly descaleK?: TensorView;
}

/** Dense MLA decoding over a paged cache. */
export interface DenseDecodeArgs extends DenseDecodeInputs {
  readonly schedule: Schedule;
  /** Output (b, sQ, hQ, headDimV), contiguous; bf16 where q is e4m3, else the dtype of q. */
  readonly out: TensorView;
  /** Output f32 (b, hQ, sQ), contiguous, natural log; +inf for rows that attend to nothing. */
  readonly lse: TensorView;
}

/** One cache of a sparse decode call. */
export interface SparseCache {
  /**
   * u8 (blocks, page, 1, rowBytes) for `v32` and `model1`, bf16 (blocks, page, 1, dQk) for `bf16`.
   * For `model1` only shape, byteOffset and strides[0] (bytes between blocks) describe memory: a
   * block holds page×576 value bytes, then page×8 scale bytes.
   */
  readonly kCache: TensorView;
  /** i32 (b, sQ, topk): block·page + offset; anything outside the cache is skipped. */
  readonly indices: TensorView;
  /** i32 (b): entries of `indices` that count, clamped to 0…topk; absent means all. */
  readonly topkLength?: TensorView;
}

/** Token-sparse MLA decoding, one or two caches, one KV head: all but its schedule and outputs. */
export interface SparseDecodeInputs {
  /** bf16 (b, sQ, hQ, dQk), dQk 576 (v32, bf16) or 512 (model1, bf16). */
  readonly q: TensorView;
  readonly layout: KvRowLayout;
  readonly main: SparseCache;
  readonly extra?: SparseCache;
  readonly headDimV: number;
  readonly softmaxScale: number;
  /** f32 (hQ): out is multiplied by exp(lse) / (exp(lse) + exp(sink)); lse is unchanged. */
  readonly attnSink?: TensorView;
}

/** Token-sparse MLA decoding. */
export interface SparseDecodeArgs extends SparseDecodeInputs {
  readonly schedule: Schedule;
  /** Output bf16 (b, sQ, hQ, headDimV), contiguous. */
  readonly out: TensorView;
  /** Output f32 (b, hQ, sQ), contiguous. */
  readonly lse: TensorView;
}

/** Token-sparse attention over an unpaged bf16 KV (prefill). Head h uses KV head h·hKv/hQ. */
export interface SparsePrefillArgs {
  /** bf16 (sQ, hQ, dQk). */
  readonly q: TensorView;
  /** bf16 (sKv, hKv, dQk). */
  readonly kv: TensorView;
  /** i32 (sQ, hKv, topk): rows of `kv`; anything outside is skipped. */
  readonly indices: TensorView;
  /** i32 (sQ): entries of `indices` that count, clamped to 0…topk; absent means all. */
  readonly topkLength?: TensorView;
  readonly smScale: number;
  readonly headDimV: number;
  /** f32 (hQ). */
  readonly attnSink?: TensorView;
  /** Output bf16 (sQ, hQ, headDimV), contiguous. */
  readonly out: TensorView;
  /** Outputs f32 (sQ, hQ), contiguous; the largest scaled logit, natural log. */
  readonly maxLogits: TensorView;
  readonly lse: TensorView;
}

/** Dense MHA/GQA over packed variable-length sequences, or over a (paged) cache. */
export interface DenseAttentionArgs {
  /** (totalQ, hQ, dQk) bf16 or f16. */
  readonly q: TensorView;
  /** (totalK, hKv, dQk), or paged (blocks, page, hKv, dQk) where `blockTable` is given. */
  readonly k: TensorView;
  /** (totalK, hKv, dV), or paged (blocks, page, hKv, dV). */
  readonly v: TensorView;
  /** i32 (b + 1): where each request's queries begin and end; absent: each has `maxSeqLenQ`. */
  readonly cuSeqlensQ?: TensorView;
  /** i32 (b + 1): where each request's keys begin and end; absent where `seqlensK` is given. */
  readonly cuSeqlensK?: TensorView;
  /** i32 (b): keys of each request in a cache, counted as in {@link DenseDecodeArgs.seqlens}. */
  readonly seqlensK?: TensorView;
  /** i32 (b, maxBlocks): pages of each request; absent means request i owns block i of k and v. */
  readonly blockTable?: TensorView;
  readonly maxSeqLenQ: number;
  readonly maxSeqLenK: number;
  readonly softmaxScale: number;
  /** Aligned to the end: the last query sees all keys. */
  readonly causal: boolean;
  /** Output (totalQ, hQ, dV), contiguous, the dtype of q. */
  readonly out: TensorView;
  /** Output f32 (hQ, totalQ), contiguous. */
  readonly lse: TensorView;
}
