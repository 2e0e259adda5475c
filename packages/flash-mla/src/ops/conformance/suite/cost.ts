import type { CaseParams } from './params.ts';

/** Kernels work on whole tiles of about this many rows of queries and of keys. */
const tile = 64;

/**
 * Work of a case in millions of floating-point operations, tiles counted in full: what a slow device
 * needs time for. An estimate from the parameters alone.
 */
export function caseCost(params: CaseParams): number {
  return Math.ceil(operations(params) / 1e6);
}

function operations(params: CaseParams): number {
  switch (params.op) {
    case 'dense-decode': {
      const { b, sQ, sK, hQ, hKv, dQk = 576, dV = 512 } = params;
      return b * hKv * padded((sQ * hQ) / hKv) * padded(sK) * 2 * (dQk + dV);
    }
    case 'sparse-decode': {
      const { b, sQ, hQ, cache, extra } = params;
      const keys = padded(cache.topk) + (extra ? padded(extra.topk) : 0);
      return b * sQ * padded(hQ) * keys * 2 * ((params.dQk ?? 576) + 512);
    }
    case 'sparse-prefill': {
      const { sQ, topk, hQ, hKv = 1, dQk } = params;
      return sQ * hKv * padded(hQ / hKv) * padded(topk) * 2 * (dQk + 512);
    }
    case 'varlen-attention':
    case 'cache-attention': {
      const { b, sQ, sK, hQ, dQk, dV } = params;
      return b * hQ * padded(sQ) * padded(sK) * 2 * (dQk + dV);
    }
    case 'quantize':
    case 'dequantize':
      return params.blocks * params.page * 576 * 10;
    case 'append':
      return params.rows * (params.hKv ?? 1) * (params.dQk ?? 576) * 10;
    case 'schedule':
      return params.b * 1000;
  }
}

function padded(n: number): number {
  return Math.ceil(n / tile) * tile;
}
