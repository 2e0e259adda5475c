import { describe, expectTypeOf, it } from 'vitest';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { appendKvCache, type PackedKvLayout, quantizeKvCache } from '../../kv-cache/index.ts';
import {
  type DecodeResult,
  type DenseDecodeOptions,
  type FlashMlaSchedMeta,
  type FlashMlaWithKvCacheOptions,
  flashAttnVarlenFunc,
  flashMlaSparseFwd,
  flashMlaWithKvCache,
  getMlaMetadata,
  type QueryDType,
  type Scheduling,
  type SparseDecodeOptions,
  type TileSchedulerMetadata,
} from '../index.ts';

/** Mistakes that the compiler catches. The functions below are compiled, never called. */

declare const bf16: Tensor<'bf16'>;
declare const f16: Tensor<'f16'>;
declare const either: Tensor<'bf16' | 'f16'>;
declare const rows: Tensor<'u8' | 'bf16'>;
declare const e4m3: Tensor<'e4m3'>;
declare const f32: Tensor<'f32'>;
declare const i32: Tensor<'i32'>;
declare const u8: Tensor<'u8'>;
declare const schedMeta: FlashMlaSchedMeta;
declare const metadata: TileSchedulerMetadata;

const dense = { blockTable: {} as typeof i32, cacheSeqlens: {} as typeof i32, headDimV: 512 };

describe('the types of getMlaMetadata', () => {
  it('tell its two forms apart', () => {
    expectTypeOf(getMlaMetadata).toBeCallableWith();
    const lazy = () => getMlaMetadata();
    expectTypeOf(lazy).returns.toEqualTypeOf<[schedMeta: FlashMlaSchedMeta, numSplits: null]>();
    const eager = () => getMlaMetadata(i32, 128, 1, 128, false);
    expectTypeOf(eager).returns.toEqualTypeOf<
      [tileSchedulerMetadata: TileSchedulerMetadata, numSplits: Tensor<'i32'>]
    >();
    void (() => {
      // @ts-expect-error lengths need numQTokensPerHeadK and numHeadsK
      getMlaMetadata(i32);
      // @ts-expect-error lengths are i32
      getMlaMetadata(f32, 128, 1);
    });
  });
});

describe('the types of flashMlaWithKvCache', () => {
  it('give the output its dtype', () => {
    const half = () => flashMlaWithKvCache({ ...dense, q: f16, kCache: f16, schedMeta });
    expectTypeOf(half).returns.toEqualTypeOf<DecodeResult<'f16'>>();
    const fp8 = () => flashMlaWithKvCache({ ...dense, q: e4m3, kCache: e4m3, schedMeta });
    expectTypeOf(fp8).returns.toEqualTypeOf<DecodeResult<'bf16'>>();
    const rows = () =>
      flashMlaWithKvCache({ q: bf16, kCache: u8, indices: i32, headDimV: 512, schedMeta });
    expectTypeOf(rows).returns.toEqualTypeOf<DecodeResult<'bf16'>>();
    expectTypeOf<DecodeResult<'f16'>['lse']>().toEqualTypeOf<Tensor<'f32'>>();
  });

  it('accept what is right', () => {
    void (() => {
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: bf16, schedMeta, causal: true });
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: bf16, schedMeta, numSplits: null });
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: bf16, schedMeta: metadata, numSplits: i32 });
      flashMlaWithKvCache({
        ...dense,
        q: e4m3,
        kCache: e4m3,
        schedMeta,
        descaleQ: f32,
        descaleK: f32,
      });
      flashMlaWithKvCache({ ...dense, q: either, kCache: either, schedMeta, out: either });
      const sparse = { q: bf16, indices: i32, headDimV: 512, schedMeta };
      flashMlaWithKvCache({ ...sparse, kCache: u8, isFp8KvCache: true, attnSink: f32 });
      flashMlaWithKvCache({ ...sparse, kCache: bf16, topkLength: i32 });
      flashMlaWithKvCache({ ...sparse, kCache: rows });
      flashMlaWithKvCache({
        ...sparse,
        kCache: u8,
        extraKCache: u8,
        extraIndicesInKvCache: i32,
        extraTopkLength: i32,
      });
    });
  });

  it('accept what is known only at run time, and what wrappers hand on', () => {
    void (() => {
      const unknown = (options: FlashMlaWithKvCacheOptions) => flashMlaWithKvCache(options);
      expectTypeOf(unknown).returns.toEqualTypeOf<DecodeResult>();
      const anyDense = (options: Scheduling & DenseDecodeOptions<QueryDType>) =>
        flashMlaWithKvCache(options);
      expectTypeOf(anyDense).returns.toEqualTypeOf<DecodeResult>();
      const anySparse = (options: Scheduling & SparseDecodeOptions) => flashMlaWithKvCache(options);
      expectTypeOf(anySparse).returns.toEqualTypeOf<DecodeResult<'bf16'>>();
      const denseOf = <D extends QueryDType>(options: Scheduling & DenseDecodeOptions<D>) =>
        flashMlaWithKvCache(options);
      const half = () => denseOf({ ...dense, q: f16, kCache: f16, schedMeta });
      expectTypeOf(half).returns.toEqualTypeOf<DecodeResult<'f16'>>();
      const sparseOf = <R extends 'u8' | 'bf16'>(options: Scheduling & SparseDecodeOptions<R>) =>
        flashMlaWithKvCache(options);
      sparseOf({ q: bf16, kCache: u8, indices: i32, headDimV: 512, schedMeta });
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: bf16, schedMeta, indices: null });
      flashMlaWithKvCache<'f16'>({ ...dense, q: f16, kCache: f16, schedMeta });
    });
  });

  it('refuse what is wrong', () => {
    void (() => {
      // @ts-expect-error dense needs cacheSeqlens
      flashMlaWithKvCache({ q: bf16, kCache: bf16, blockTable: i32, headDimV: 512, schedMeta });
      // @ts-expect-error neither dense nor sparse
      flashMlaWithKvCache({ q: bf16, kCache: bf16, headDimV: 512, schedMeta });
      // @ts-expect-error q and kCache differ in dtype
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: f16, schedMeta });
      // @ts-expect-error descales belong to e4m3
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: bf16, schedMeta, descaleQ: f32 });
      // @ts-expect-error packed rows need indices
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: u8, schedMeta });
      // @ts-expect-error metadata tensors come with numSplits
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: bf16, schedMeta: metadata });
      // @ts-expect-error any tensor is not metadata
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: bf16, schedMeta: i32, numSplits: i32 });
      // @ts-expect-error no metadata
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: bf16 });
      // @ts-expect-error a misspelled name
      flashMlaWithKvCache({ ...dense, q: bf16, kCache: bf16, schedMeta, softMaxScale: 1 });
      const sparse = { q: bf16, indices: i32, headDimV: 512, schedMeta };
      // @ts-expect-error sparse is never causal
      flashMlaWithKvCache({ ...sparse, kCache: u8, causal: true });
      // @ts-expect-error sparse finds its tokens through indices
      flashMlaWithKvCache({ ...sparse, kCache: u8, blockTable: i32, cacheSeqlens: i32 });
      // @ts-expect-error both caches have the same row format
      flashMlaWithKvCache({ ...sparse, kCache: u8, extraKCache: bf16, extraIndicesInKvCache: i32 });
      // @ts-expect-error queries of a sparse call are bf16
      flashMlaWithKvCache({ ...sparse, q: f16, kCache: u8 });
      // @ts-expect-error the flag contradicts the dtype
      flashMlaWithKvCache({ ...sparse, kCache: u8, isFp8KvCache: false });
      // @ts-expect-error the output of e4m3 queries is bf16
      flashMlaWithKvCache({ ...dense, q: e4m3, kCache: e4m3, schedMeta, out: f16 });
    });
  });
});

describe('the types of the other operations', () => {
  it('refuse what is wrong', () => {
    void (() => {
      // @ts-expect-error smScale has no default
      flashMlaSparseFwd({ q: bf16, kv: bf16, indices: i32 });
      // @ts-expect-error prefill reads bf16
      flashMlaSparseFwd({ q: f16, kv: f16, indices: i32, smScale: 1 });
      const varlen = { cuSeqlensQo: i32, cuSeqlensKv: i32, maxSeqlenQo: 1, maxSeqlenKv: 1 };
      // @ts-expect-error only without dropout
      flashAttnVarlenFunc({ ...varlen, q: f16, k: f16, v: f16, dropoutP: 0.1 });
      // @ts-expect-error one dtype for q, k and v
      flashAttnVarlenFunc({ ...varlen, q: f16, k: f16, v: bf16 });
      // @ts-expect-error bf16 rows are not packed
      quantizeKvCache({ kCache: bf16, layout: 'bf16' });
    });
    void (() => {
      const slots = i32;
      expectTypeOf(appendKvCache({ kCache: u8, rows: bf16, slots })).toEqualTypeOf<Tensor<'u8'>>();
      expectTypeOf(appendKvCache({ kCache: f16, rows: f16, slots, layout: 'f16' })).toEqualTypeOf<
        Tensor<'f16'>
      >();
      appendKvCache({ kCache: u8, rows: bf16, slots, layout: 'model1' });
      // @ts-expect-error rows are packed from bf16
      appendKvCache({ kCache: u8, rows: f16, slots });
      // @ts-expect-error rows of a plain cache are copied
      appendKvCache({ kCache: bf16, rows: f16, slots });
      // @ts-expect-error a plain cache is not packed
      appendKvCache({ kCache: bf16, rows: bf16, slots, layout: 'v32' });
      // @ts-expect-error slots are integers
      appendKvCache({ kCache: bf16, rows: bf16, slots: bf16 });
    });
    expectTypeOf<PackedKvLayout>().toEqualTypeOf<'v32' | 'model1'>();
  });
});
