import type { CacheParams, PrefillParams, VarlenParams } from './params.ts';

/** Small cases of prefill and of dense attention. */

const prefill = (params: Omit<PrefillParams, 'op'>): PrefillParams => ({
  op: 'sparse-prefill',
  ...params,
});

const varlen = (params: Omit<VarlenParams, 'op'>): VarlenParams => ({
  op: 'varlen-attention',
  ...params,
});

const cached = (params: Omit<CacheParams, 'op'>): CacheParams => ({
  op: 'cache-attention',
  ...params,
});

export const quickPrefill: readonly PrefillParams[] = [
  prefill({ sQ: 3, sKv: 150, topk: 128, hQ: 64, dQk: 512 }),
  prefill({ sQ: 5, sKv: 592, topk: 128, hQ: 128, dQk: 576, lengths: true, sink: 'infinite' }),
  prefill({ sQ: 4, sKv: 153, topk: 256, hQ: 16, dQk: 576, sink: 'finite' }),
  prefill({ sQ: 4, sKv: 1000, topk: 500, hQ: 8, dQk: 512, sharpness: 'peaky' }),
  prefill({ sQ: 3, sKv: 64, topk: 64, hQ: 1, dQk: 576, sharpness: 'flat' }),
  prefill({ sQ: 3, sKv: 128, topk: 128, hQ: 12, hKv: 2, dQk: 576, lengths: true }),
  prefill({ sQ: 4, sKv: 32, topk: 512, hQ: 16, dQk: 512, invalid: 'rows', sink: 'infinite' }),
  prefill({ sQ: 2, sKv: 128, topk: 128, hQ: 16, dQk: 576, invalid: 'all', sink: 'finite' }),
  prefill({ sQ: 6, sKv: 1521, topk: 512, hQ: 128, dQk: 512, lengths: true, sink: 'infinite' }),
  prefill({ sQ: 62, sKv: 95, topk: 128, hQ: 64, dQk: 576 }),
  prefill({ sQ: 20, sKv: 100, topk: 64, hQ: 16, dQk: 512, lengths: true }),
  prefill({ sQ: 5, sKv: 128, topk: 64, hQ: 16, dQk: 576, lengths: true, gap: 16 }),
  prefill({ sQ: 5, sKv: 128, topk: 64, hQ: 16, hKv: 4, dQk: 512, gap: 1 }),
  prefill({ sQ: 5, sKv: 128, topk: 192, hQ: 16, dQk: 512, lengths: true, graph: true }),
];

export const quickAttention: readonly (VarlenParams | CacheParams)[] = [
  varlen({ b: 1, sQ: 64, sK: 64, hQ: 2, hKv: 1, dQk: 128, dV: 128 }),
  varlen({ b: 4, sQ: 30, sK: 90, hQ: 4, hKv: 2, dQk: 192, dV: 128, causal: true }),
  varlen({ b: 5, sQ: 60, sK: 20, hQ: 2, hKv: 2, dQk: 64, dV: 64, causal: true }),
  varlen({ b: 2, sQ: 150, sK: 400, hQ: 4, hKv: 1, dQk: 192, dV: 128, causal: true }),
  varlen({ b: 12, sQ: 10, sK: 50, hQ: 16, hKv: 4, dQk: 128, dV: 128, causal: true }),
  varlen({ b: 3, sQ: 17, sK: 130, hQ: 3, hKv: 1, dQk: 96, dV: 80, dtype: 'f16' }),
  varlen({ b: 1, sQ: 5, sK: 300, hQ: 2, hKv: 1, dQk: 128, dV: 128, sharpness: 'peaky' }),
  varlen({ b: 3, sQ: 20, sK: 40, hQ: 4, hKv: 1, dQk: 72, dV: 64, causal: true, gap: 16 }),
  varlen({ b: 3, sQ: 20, sK: 40, hQ: 2, hKv: 2, dQk: 128, dV: 128, gap: 1 }),
  varlen({ b: 2, sQ: 9, sK: 200, hQ: 2, hKv: 1, dQk: 256, dV: 256, causal: true }),
  varlen({ b: 4, sQ: 20, sK: 90, hQ: 4, hKv: 2, dQk: 64, dV: 64, causal: true, outOfRange: true }),
  cached({ b: 3, sQ: 1, sK: 140, hQ: 8, hKv: 2, dQk: 128, dV: 128, page: 64 }),
  cached({ b: 3, sQ: 4, sK: 140, hQ: 4, hKv: 1, dQk: 192, dV: 128, page: 16, causal: true }),
  cached({ b: 5, sQ: 1, sK: 300, hQ: 16, hKv: 4, dQk: 128, dV: 128, page: 64 }),
  cached({ b: 4, sQ: 2, sK: 70, hQ: 4, hKv: 4, dQk: 64, dV: 64, causal: true }),
  cached({ b: 3, sQ: 3, sK: 100, hQ: 6, hKv: 2, dQk: 128, dV: 128, page: 7, dtype: 'f16' }),
  cached({ b: 3, sQ: 2, sK: 100, hQ: 4, hKv: 2, dQk: 128, dV: 64, page: 32, gap: 16 }),
  cached({ b: 3, sQ: 1, sK: 200, hQ: 4, hKv: 1, dQk: 128, dV: 128, page: 64, graph: true }),
  cached({ b: 4, sQ: 2, sK: 100, hQ: 4, hKv: 2, dQk: 64, dV: 64, page: 64, outOfRange: true }),
  cached({ b: 4, sQ: 2, sK: 50, hQ: 2, hKv: 2, dQk: 64, dV: 64, outOfRange: true }),
  ...[64, 7].map((page) =>
    cached({
      ...{ b: 3, sQ: 3, sK: 200, hQ: 4, hKv: 1, dQk: 128, dV: 64, page },
      ...{ causal: true, missingBlocks: true },
    }),
  ),
  // Many rows: Hopper has kernels of its own for them.
  varlen({ b: 3, sQ: 40, sK: 70, hQ: 8, hKv: 2, dQk: 128, dV: 128, outOfRange: true }),
  varlen({ b: 2, sQ: 70, sK: 200, hQ: 1, hKv: 1, dQk: 256, dV: 256, causal: true, dtype: 'f16' }),
  cached({
    ...{ b: 3, sQ: 35, sK: 200, hQ: 4, hKv: 2, dQk: 192, dV: 128, page: 16 },
    ...{ causal: true, missingBlocks: true },
  }),
  cached({
    ...{ b: 3, sQ: 70, sK: 150, hQ: 2, hKv: 2, dQk: 256, dV: 256, page: 64 },
    ...{ missingBlocks: true, graph: true },
  }),
  cached({ b: 3, sQ: 33, sK: 130, hQ: 6, hKv: 2, dQk: 128, dV: 128, causal: true, gap: 16 }),
  cached({ b: 2, sQ: 1, sK: 9, hQ: 4, hKv: 1, dQk: 64, dV: 64, page: 16, empty: 'blocks' }),
  cached({ b: 2, sQ: 1, sK: 9, hQ: 4, hKv: 1, dQk: 64, dV: 64, page: 16, empty: 'table' }),
];
