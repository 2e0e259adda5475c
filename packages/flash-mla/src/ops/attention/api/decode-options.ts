import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { PackedKvLayout } from '../../kv-cache/index.ts';
import type { FlashMlaSchedMeta } from './sched-meta.ts';
import type { TileSchedulerMetadata } from './tile-scheduler-metadata.ts';

/** Dtypes of q in a dense decode; `e4m3` takes per-tensor descales. */
export type QueryDType = 'bf16' | 'f16' | 'e4m3';

/** The output has the dtype of q, or bf16 where q is e4m3. */
export type OutputDType<D extends QueryDType> = D extends 'e4m3' ? 'bf16' : D;

/**
 * Either form of scheduling metadata. The usual one is last, because of several types that fit equally
 * little, the compiler's message is about the last.
 */
export type Scheduling =
  | {
      /** Both tensors from `getMlaMetadata(cacheSeqlens, …)`. */
      readonly schedMeta: TileSchedulerMetadata;
      readonly numSplits: Tensor<'i32'>;
    }
  | {
      /** From `getMlaMetadata()`: filled by the first call, fixed from then on. */
      readonly schedMeta: FlashMlaSchedMeta;
      readonly numSplits?: null | undefined;
    };

/** What dense and sparse calls share. */
export interface DecodeOptionsBase<O extends 'bf16' | 'f16'> {
  /** Columns of V, the first of a cache row: FlashMLA's is 512. */
  readonly headDimV: number;
  /** Factor of the logits, a normal float32: 2^-126 to 3.4e38. Default 1/√dQk. */
  readonly softmaxScale?: number | null | undefined;
  /** Split each request the same way in any batch, so that its bits do not depend on the others. */
  readonly deterministic?: boolean | undefined;
  /**
   * Output (b, sQ, hQ, headDimV), contiguous, to write to instead of a new one. Begins at a multiple of
   * 16 bytes of its memory, as what is allocated or cut out of it does.
   */
  readonly out?: Tensor<O> | null | undefined;
  /** Output f32 (b, hQ, sQ), contiguous, to write to instead of a new one. */
  readonly lse?: Tensor<'f32'> | null | undefined;
}

/** Dense decoding: every token of a request, found through its row of the block table. */
export interface DenseDecodeOptions<D extends QueryDType>
  extends DecodeOptionsBase<OutputDType<D>> {
  /** (b, sQ, hQ, dQk), any outer strides. */
  readonly q: Tensor<D>;
  /** (blocks, page, hK, dQk), any page size, any outer strides; hK divides hQ. */
  readonly kCache: Tensor<NoInfer<D>>;
  /** i32 (b, maxBlocks): blocks of each request, in order. */
  readonly blockTable: Tensor<'i32'>;
  /** i32 (b): tokens of each request. 0 gives out 0 and lse +inf. */
  readonly cacheSeqlens: Tensor<'i32'>;
  /** Aligned to the end: query i sees keys up to seqlen − sQ + i. Default false. */
  readonly causal?: boolean | undefined;
  /** f32 (1), e4m3 only: real q = stored q · descaleQ, which is not negative. Default 1. */
  readonly descaleQ?: D extends 'e4m3' ? Tensor<'f32'> | null | undefined : null | undefined;
  /** f32 (1), e4m3 only: real cache = stored cache · descaleK, not negative either. Default 1. */
  readonly descaleK?: D extends 'e4m3' ? Tensor<'f32'> | null | undefined : null | undefined;
  /** Says again what the dtypes say: true for e4m3. */
  readonly isFp8KvCache?: (D extends 'e4m3' ? true : false) | null | undefined;
  readonly indices?: null | undefined;
  readonly attnSink?: null | undefined;
  readonly extraKCache?: null | undefined;
  readonly extraIndicesInKvCache?: null | undefined;
  readonly topkLength?: null | undefined;
  readonly extraTopkLength?: null | undefined;
}

/** Token-sparse decoding: the tokens that `indices` name. `u8` rows are packed FP8. */
export interface SparseDecodeOptions<R extends 'u8' | 'bf16' = 'u8' | 'bf16'>
  extends DecodeOptionsBase<'bf16'> {
  /** (b, sQ, hQ, dQk): 576 columns for `v32`, 512 for `model1`, either for bf16 rows. */
  readonly q: Tensor<'bf16'>;
  /**
   * u8 (blocks, page, 1, 656) `v32`, u8 (blocks, page, 1, 584) `model1`, or bf16 (blocks, page, 1,
   * dQk); any page size. Blocks may be padded. Scales of `v32` rows that are no powers of two are taken
   * as the device can: {@link PackedKvLayout}.
   */
  readonly kCache: Tensor<R>;
  /** i32 (b, sQ, topk): block·page + offset; anything outside the cache is skipped. */
  readonly indices: Tensor<'i32'>;
  /** i32 (b): how many entries of `indices` count, from the left. Default all. */
  readonly topkLength?: Tensor<'i32'> | null | undefined;
  /** A second cache with the same row format and its own page size. */
  readonly extraKCache?: Tensor<NoInfer<R>> | null | undefined;
  /** i32 (b, sQ, extraTopk) into `extraKCache`. */
  readonly extraIndicesInKvCache?: Tensor<'i32'> | null | undefined;
  /** i32 (b): as `topkLength`, of `extraIndicesInKvCache`. */
  readonly extraTopkLength?: Tensor<'i32'> | null | undefined;
  /** f32 (hQ): out is multiplied by exp(lse) / (exp(lse) + exp(sink)); lse is unchanged. */
  readonly attnSink?: Tensor<'f32'> | null | undefined;
  /** Says again what the dtype says: true for packed rows. */
  readonly isFp8KvCache?: (R extends 'u8' ? true : false) | null | undefined;
  readonly blockTable?: null | undefined;
  readonly cacheSeqlens?: null | undefined;
  readonly causal?: false | undefined;
  readonly descaleQ?: null | undefined;
  readonly descaleK?: null | undefined;
}

/** Arguments of `flashMlaWithKvCache`: dense with one dtype, or sparse. */
export type FlashMlaWithKvCacheOptions = Scheduling &
  (
    | DenseDecodeOptions<'bf16'>
    | DenseDecodeOptions<'f16'>
    | DenseDecodeOptions<'e4m3'>
    | SparseDecodeOptions<'u8'>
    | SparseDecodeOptions<'bf16'>
  );

/**
 * Arguments of one call. Whether there are `indices` decides the mode first, so that the compiler's
 * message about a mistake is about the mode that was meant.
 */
export type DecodeOptionsFor<
  D extends QueryDType,
  R extends 'u8' | 'bf16',
  I extends Tensor<'i32'> | null | undefined,
> = Scheduling & { readonly indices?: I } & (I extends Tensor<'i32'>
    ? SparseDecodeOptions<R>
    : DenseDecodeOptions<D>);

/** What the checks start from: any mode, the dtype not known yet. */
export type UncheckedDecodeOptions = Scheduling &
  (DenseDecodeOptions<QueryDType> | SparseDecodeOptions);

/** What `flashMlaWithKvCache` gives back. Both are the caller's to dispose of. */
export interface DecodeResult<O extends 'bf16' | 'f16' = 'bf16' | 'f16'> {
  /** (b, sQ, hQ, headDimV). */
  readonly out: Tensor<O>;
  /** f32 (b, hQ, sQ), natural log; +inf for rows that attend to nothing. */
  readonly lse: Tensor<'f32'>;
}
