import type { DenseDecode } from '../../problem.ts';
import type { DenseParams } from '../params.ts';
import type { Random } from '../random.ts';
import { drawLengths } from './lengths.ts';
import { keyDeviation, queryDeviation } from './logits.ts';
import { normalTensor, pagedCache, planPages } from './paged.ts';

/** Powers of two, so that descaled values keep their size: stored values are 4 and 2 times larger. */
const descales = { q: 0.25, k: 0.5 };

export function generateDense(params: DenseParams, random: Random): DenseDecode {
  const { b, sQ, sK, hQ, hKv, causal, dtype = 'bf16', page = 64, dQk = 576, dV = 512 } = params;
  const lengths = drawLengths(params, sK, random.stream('lengths'));
  const elementBytes = dtype === 'e4m3' ? 1 : 2;
  const pages = planPages(lengths, page, page * hKv * dQk * elementBytes, random.stream('pages'));
  const stored = params.descales ? descales : { q: 1, k: 1 };
  const deviation = queryDeviation(params.sharpness, dQk, 1 / Math.sqrt(dQk)) / stored.q;
  const cache = { dtype, page, heads: hKv, d: dQk };
  return {
    op: 'dense-decode',
    q: normalTensor(dtype, [b, sQ, hQ, dQk], deviation, random.stream('q')),
    kCache: pagedCache(pages, cache, keyDeviation / stored.k, random.stream('k')),
    blockTable: pages.blockTable,
    cacheSeqlens: { dtype: 'i32', shape: [b], data: lengths },
    headDimV: dV,
    causal,
    ...(params.descales && { descaleQ: stored.q, descaleK: stored.k }),
  };
}
