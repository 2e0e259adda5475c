import type { DenseParams, SparseParams } from './params.ts';

/** Small decode cases: each feature of the API and each kind of shape at least once. */

const dense = (params: Omit<DenseParams, 'op'>): DenseParams => ({ op: 'dense-decode', ...params });

const sparse = (params: Omit<SparseParams, 'op'>): SparseParams => ({
  op: 'sparse-decode',
  ...params,
});

export const quickDense: readonly DenseParams[] = [
  // Heads and queries that fill no tile, exactly one, and several.
  dense({ b: 1, sQ: 1, sK: 20, hQ: 1, hKv: 1 }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 128, hKv: 1, varlen: true }),
  dense({ b: 2, sQ: 2, sK: 140, hQ: 64, hKv: 1, varlen: true, causal: true }),
  dense({ b: 2, sQ: 4, sK: 20, hQ: 63, hKv: 1, causal: true }),
  dense({ b: 6, sQ: 4, sK: 20, hQ: 3, hKv: 3, varlen: true, causal: true }),
  dense({ b: 2, sQ: 2, sK: 140, hQ: 126, hKv: 2, varlen: true, causal: true }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 9, hKv: 3, varlen: true }),
  dense({ b: 1, sQ: 2, sK: 140, hQ: 8, hKv: 8, causal: true }),
  dense({ b: 1, sQ: 1, sK: 64, hQ: 16, hKv: 1, sharpness: 'flat' }),
  // Lengths: long enough to be split, none, more queries than keys.
  dense({ b: 1, sQ: 1, sK: 4096, hQ: 16, hKv: 1 }),
  dense({ b: 3, sQ: 1, sK: 1000, hQ: 5, hKv: 1, varlen: true, sharpness: 'peaky' }),
  dense({ b: 7, sQ: 2, sK: 140, hQ: 9, hKv: 1, varlen: true, causal: true, zeroLengths: 'some' }),
  dense({ b: 3, sQ: 1, sK: 20, hQ: 4, hKv: 1, zeroLengths: 'all' }),
  dense({ b: 2, sQ: 4, sK: 2, hQ: 7, hKv: 1, causal: true }),
  // Several tiles of rows and of keys, more requests than a device has workers.
  dense({ b: 2, sQ: 4, sK: 140, hQ: 128, hKv: 1, varlen: true, causal: true }),
  dense({ b: 1, sQ: 1, sK: 1500, hQ: 128, hKv: 1, sharpness: 'peaky' }),
  dense({ b: 2, sQ: 2, sK: 700, hQ: 126, hKv: 3, varlen: true, causal: true }),
  dense({ b: 40, sQ: 1, sK: 20, hQ: 3, hKv: 1, varlen: true, zeroLengths: 'some' }),
  dense({ b: 40, sQ: 2, sK: 140, hQ: 8, hKv: 1, varlen: true, causal: true, invariant: true }),
  // Other dtypes.
  dense({ b: 2, sQ: 1, sK: 140, hQ: 128, hKv: 1, varlen: true, dtype: 'f16' }),
  dense({ b: 2, sQ: 2, sK: 140, hQ: 6, hKv: 2, varlen: true, causal: true, dtype: 'f16' }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 64, hKv: 1, varlen: true, dtype: 'e4m3' }),
  dense({ b: 2, sQ: 2, sK: 140, hQ: 16, hKv: 1, causal: true, dtype: 'e4m3', descales: true }),
  dense({ b: 3, sQ: 1, sK: 600, hQ: 24, hKv: 3, varlen: true, dtype: 'e4m3', descales: true }),
  dense({ b: 1, sQ: 1, sK: 2000, hQ: 64, hKv: 1, dtype: 'f16', sharpness: 'peaky' }),
  // Page sizes and widths of rows.
  dense({ b: 2, sQ: 1, sK: 140, hQ: 16, hKv: 1, varlen: true, page: 1 }),
  dense({ b: 2, sQ: 2, sK: 140, hQ: 16, hKv: 1, varlen: true, causal: true, page: 69 }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 16, hKv: 2, varlen: true, page: 576 }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 40, hKv: 1, varlen: true, dQk: 288, dV: 256 }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 16, hKv: 4, varlen: true, dQk: 192, dV: 128 }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 8, hKv: 1, varlen: true, dQk: 16, dV: 16, dtype: 'f16' }),
  // Lengths out of range, under schedules that know the table and such that do not.
  ...[{}, { deterministic: true }].flatMap((splits) =>
    [{}, { metadata: 'tensors' } as const].flatMap((form) => [
      dense({ b: 4, sQ: 1, sK: 100, hQ: 16, hKv: 1, outOfRange: true, ...form, ...splits }),
      dense({ b: 2, sQ: 1, sK: 40, hQ: 65, hKv: 1, outOfRange: true, ...form, ...splits }),
    ]),
  ),
  dense({
    ...{ b: 3, sQ: 2, sK: 300, hQ: 20, hKv: 2, varlen: true, causal: true, outOfRange: true },
    ...{ metadata: 'tensors', page: 16 },
  }),
  dense({
    ...{ b: 2, sQ: 1, sK: 1100, hQ: 8, hKv: 1, dtype: 'e4m3', outOfRange: true },
    ...{ metadata: 'tensors', deterministic: true },
  }),
  // Entries of the block table that name nothing, in pages that hold whole steps of a kernel or do not.
  dense({ b: 3, sQ: 1, sK: 300, hQ: 16, hKv: 1, varlen: true, missingBlocks: true }),
  dense({ b: 3, sQ: 2, sK: 400, hQ: 64, hKv: 1, causal: true, missingBlocks: true }),
  dense({ b: 3, sQ: 1, sK: 300, hQ: 64, hKv: 1, missingBlocks: true, dtype: 'f16', page: 128 }),
  dense({ b: 3, sQ: 2, sK: 300, hQ: 8, hKv: 1, causal: true, missingBlocks: true, dtype: 'e4m3' }),
  dense({ b: 2, sQ: 1, sK: 300, hQ: 64, hKv: 1, missingBlocks: true, dtype: 'e4m3' }),
  dense({ b: 3, sQ: 2, sK: 140, hQ: 5, hKv: 1, causal: true, missingBlocks: true, page: 16 }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 40, hKv: 1, missingBlocks: true, page: 23 }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 8, hKv: 1, missingBlocks: true, page: 16, dtype: 'e4m3' }),
  dense({ b: 2, sQ: 1, sK: 300, hQ: 40, hKv: 1, missingBlocks: true, dQk: 192, dV: 128 }),
  dense({ b: 2, sQ: 1, sK: 64, hQ: 16, hKv: 1, zeroLengths: 'all', empty: 'blocks' }),
  dense({ b: 2, sQ: 1, sK: 64, hQ: 128, hKv: 1, zeroLengths: 'all', empty: 'table' }),
  // Ways of calling.
  dense({ b: 2, sQ: 2, sK: 140, hQ: 16, hKv: 2, varlen: true, causal: true, gap: 16 }),
  dense({ b: 2, sQ: 1, sK: 140, hQ: 16, hKv: 1, varlen: true, gap: 1 }),
  dense({ b: 3, sQ: 2, sK: 140, hQ: 16, hKv: 1, varlen: true, metadata: 'tensors' }),
  dense({ b: 3, sQ: 1, sK: 600, hQ: 16, hKv: 1, varlen: true, invariant: true }),
  dense({ b: 3, sQ: 1, sK: 300, hQ: 16, hKv: 1, varlen: true, graph: true }),
];

export const quickSparse: readonly SparseParams[] = [
  // Each row format, the head counts of FlashMLA's kernels and others, pages of all kinds.
  sparse({ layout: 'v32', b: 2, sQ: 1, hQ: 64, cache: { sK: 512, topk: 64, page: 64 } }),
  sparse({ layout: 'model1', b: 2, sQ: 1, hQ: 64, cache: { sK: 512, topk: 64, page: 69 } }),
  sparse({ layout: 'bf16', b: 2, sQ: 1, hQ: 64, cache: { sK: 512, topk: 64, page: 2 } }),
  sparse({
    layout: 'bf16',
    dQk: 512,
    b: 2,
    sQ: 3,
    hQ: 16,
    cache: { sK: 300, topk: 128, page: 64 },
  }),
  sparse({
    ...{ layout: 'v32', b: 2, sQ: 1, hQ: 128, varlen: true, sink: 'infinite' },
    cache: { sK: 1024, topk: 576, page: 61 },
  }),
  sparse({
    ...{ layout: 'v32', b: 1, sQ: 1, hQ: 8, sharpness: 'peaky' },
    cache: { sK: 2046, topk: 2048, page: 576 },
  }),
  sparse({ layout: 'model1', b: 1, sQ: 1, hQ: 7, cache: { sK: 512, topk: 100, page: 1 } }),
  sparse({ layout: 'model1', b: 2, sQ: 3, hQ: 128, cache: { sK: 512, topk: 192, page: 64 } }),
  sparse({
    ...{ layout: 'model1', b: 1, sQ: 1, hQ: 64, sharpness: 'peaky' },
    cache: { sK: 2046, topk: 2048, page: 64 },
  }),
  sparse({ layout: 'bf16', b: 1, sQ: 1, hQ: 128, cache: { sK: 1024, topk: 576, page: 61 } }),
  sparse({
    ...{ layout: 'v32', b: 40, sQ: 1, hQ: 8, varlen: true, zeroLengths: 'some' },
    cache: { sK: 100, topk: 64, page: 64, lengths: true },
  }),
  // Extra caches, both lengths.
  sparse({
    ...{ layout: 'model1', b: 4, sQ: 1, hQ: 64, varlen: true, sink: 'infinite' },
    cache: { sK: 256, topk: 64, page: 64, lengths: true },
    extra: { sK: 512, topk: 128, page: 2, lengths: true },
  }),
  sparse({
    ...{ layout: 'v32', b: 2, sQ: 2, hQ: 16, varlen: true },
    cache: { sK: 512, topk: 64, page: 69 },
    extra: { sK: 512, topk: 100, page: 64 },
  }),
  sparse({
    ...{ layout: 'bf16', b: 4, sQ: 1, hQ: 16, varlen: true, sink: 'finite' },
    cache: { sK: 256, topk: 128, page: 16, lengths: true },
    extra: { sK: 256, topk: 64, page: 64 },
  }),
  sparse({
    ...{ layout: 'v32', b: 2, sQ: 1, hQ: 128, varlen: true, sink: 'infinite' },
    cache: { sK: 512, topk: 64, page: 64 },
    extra: { sK: 1024, topk: 576, page: 61, lengths: true },
  }),
  // Requests and queries without keys.
  sparse({
    ...{ layout: 'v32', b: 5, sQ: 3, hQ: 16, varlen: true, zeroLengths: 'some', sink: 'infinite' },
    cache: { sK: 128, topk: 64, page: 61, lengths: true },
  }),
  sparse({
    ...{ layout: 'model1', b: 4, sQ: 2, hQ: 16, zeroLengths: 'some' },
    cache: { sK: 128, topk: 64, page: 53 },
    extra: { sK: 64, topk: 64, page: 53, lengths: true },
  }),
  sparse({
    ...{ layout: 'v32', b: 2, sQ: 3, hQ: 8, invalid: 'all', sink: 'infinite' },
    cache: { sK: 64, topk: 64, page: 64 },
  }),
  sparse({
    ...{ layout: 'model1', b: 2, sQ: 2, hQ: 8, invalid: 'rows', sink: 'finite' },
    cache: { sK: 64, topk: 192, page: 64 },
    extra: { sK: 64, topk: 128, page: 64 },
  }),
  sparse({
    ...{ layout: 'bf16', b: 2, sQ: 2, hQ: 8, invalid: 'rows', repeated: true },
    cache: { sK: 40, topk: 128, page: 3 },
  }),
  sparse({
    ...{ layout: 'v32', b: 2, sQ: 1, hQ: 16, floatScales: true },
    cache: { sK: 256, topk: 128, page: 64 },
  }),
  ...(['v32', 'model1', 'bf16'] as const).map((layout) =>
    sparse({
      ...{ layout, b: 2, sQ: 1, hQ: 8, zeroLengths: 'all', invalid: 'all', empty: 'blocks' },
      cache: { sK: 64, topk: 64, page: 64 },
    }),
  ),
  // Ways of calling.
  sparse({
    ...{ layout: 'v32', b: 3, sQ: 2, hQ: 16, sink: 'finite', gap: 16 },
    cache: { sK: 128, topk: 64, page: 64, lengths: true },
  }),
  sparse({
    ...{ layout: 'model1', b: 3, sQ: 2, hQ: 16, gap: 1 },
    cache: { sK: 128, topk: 64, page: 64 },
    extra: { sK: 64, topk: 64, page: 2 },
  }),
  sparse({
    ...{ layout: 'bf16', b: 3, sQ: 2, hQ: 16, gap: 16 },
    cache: { sK: 128, topk: 64, page: 64 },
  }),
  sparse({
    ...{ layout: 'v32', b: 3, sQ: 2, hQ: 16, varlen: true, metadata: 'tensors' },
    cache: { sK: 256, topk: 192, page: 64, lengths: true },
    extra: { sK: 64, topk: 64, page: 64, lengths: true },
  }),
  sparse({
    ...{ layout: 'v32', b: 4, sQ: 1, hQ: 16, varlen: true, invariant: true },
    cache: { sK: 512, topk: 512, page: 64, lengths: true },
  }),
  sparse({
    ...{ layout: 'model1', b: 4, sQ: 1, hQ: 16, varlen: true, graph: true },
    cache: { sK: 256, topk: 256, page: 64, lengths: true },
    extra: { sK: 128, topk: 64, page: 64, lengths: true },
  }),
];
