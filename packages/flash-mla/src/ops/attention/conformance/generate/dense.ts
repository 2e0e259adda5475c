import type { Random } from '../../../conformance/suite/random.ts';
import type { DenseParams } from '../params.ts';
import type { DenseDecode } from '../problems.ts';
import { drawLengths } from './lengths.ts';
import { keyDeviation, queryDeviation } from './logits.ts';
import { fillWholePages, lengthsOutOfRange, withMissingBlocks } from './odd-numbers.ts';
import { normalTensor, pagedCache, planPages } from './paged.ts';

/** Powers of two, so that descaled values keep their size: stored values are 4 and 2 times larger. */
const descales = { q: 0.25, k: 0.5 };

export function generateDense(params: DenseParams, random: Random): DenseDecode {
  const { b, sQ, sK, hQ, hKv, causal, dtype = 'bf16', page = 64, dQk = 576, dV = 512 } = params;
  const { outOfRange, missingBlocks, empty } = params;
  const drawn = drawLengths(params, sK, random.stream('lengths'));
  const lengths = outOfRange ? fillWholePages(drawn, page) : drawn;
  const elementBytes = dtype === 'e4m3' ? 1 : 2;
  const pageBytes = page * hKv * dQk * elementBytes;
  const pages = planPages(lengths, page, pageBytes, random.stream('pages'), {
    spareColumns: outOfRange || empty === 'table' ? 0 : 1,
    spareBlocks: empty === 'blocks' ? 0 : 2,
  });
  const stored = params.descales ? descales : { q: 1, k: 1 };
  const deviation = queryDeviation(params.sharpness, dQk, 1 / Math.sqrt(dQk)) / stored.q;
  const cache = { dtype, page, heads: hKv, d: dQk };
  return {
    op: 'dense-decode',
    q: normalTensor(dtype, [b, sQ, hQ, dQk], deviation, random.stream('q')),
    kCache: pagedCache(pages, cache, keyDeviation / stored.k, random.stream('k')),
    blockTable: missingBlocks
      ? withMissingBlocks(pages.blockTable, pages.blocks, random.stream('missing'))
      : pages.blockTable,
    cacheSeqlens: {
      dtype: 'i32',
      shape: [b],
      data: outOfRange ? lengthsOutOfRange(lengths, Math.max(...lengths)) : lengths,
    },
    headDimV: dV,
    causal,
    ...(params.descales && { descaleQ: stored.q, descaleK: stored.k }),
  };
}
