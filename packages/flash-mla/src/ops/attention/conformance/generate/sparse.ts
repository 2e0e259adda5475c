import type { HostTensor } from '@flash-mla/core';
import { normalCodes, type Random } from '../../../conformance/suite/random.ts';
import { poison } from '../../../conformance/upload.ts';
import type { SparseCacheProblem } from '../../reference/sparse-rows.ts';
import type { CacheShape, SparseParams } from '../params.ts';
import type { SparseDecode } from '../problems.ts';
import { drawIndices } from './indices.ts';
import { drawLengths, drawTopkLengths } from './lengths.ts';
import { keyDeviation, queryDeviation, sparseScale } from './logits.ts';
import { packedCache } from './packed.ts';
import { normalTensor } from './paged.ts';
import { drawSink } from './sink.ts';

/** Requests share slots once they would take more than this. */
const mostTokens = 40_000;

export function generateSparse(params: SparseParams, random: Random): SparseDecode {
  const { b, sQ, hQ, layout, extra, sink } = params;
  const dQk = params.dQk ?? (layout === 'model1' ? 512 : 576);
  const softmaxScale = sparseScale(dQk);
  const deviation = queryDeviation(params.sharpness, dQk, softmaxScale);
  return {
    op: 'sparse-decode',
    q: normalTensor('bf16', [b, sQ, hQ, dQk], deviation, random.stream('q')),
    layout,
    ...generateCache(params, params.cache, dQk, random.stream('main')),
    extra: extra && generateCache(params, extra, dQk, random.stream('extra')),
    attnSink: sink && drawSink(sink, hQ, random.stream('sink')),
    headDimV: 512,
    softmaxScale,
  };
}

function generateCache(
  params: SparseParams,
  { sK, topk, page, lengths: hasLengths = false }: CacheShape,
  dQk: number,
  random: Random,
): SparseCacheProblem {
  const { b, sQ, invalid, repeated = false, layout, floatScales = false, empty } = params;
  const lengths = drawLengths(params, sK, random);
  const longest = lengths.reduce((most, n) => Math.max(most, n), 1);
  const tokens = Math.min(
    lengths.reduce((sum, n) => sum + n, 0),
    Math.max(longest, mostTokens),
  );
  const capacity = empty === 'blocks' ? 0 : (Math.ceil(tokens / page) + 1) * page;
  const order = random.shuffle(Int32Array.from({ length: capacity }, (_, slot) => slot));

  const indices = new Int32Array(b * sQ * topk);
  const topkLength = hasLengths ? drawTopkLengths(b, topk, random) : undefined;
  const used = new Uint8Array(capacity);
  let first = 0;
  for (let i = 0; i < b; i++) {
    const length = lengths[i] as number;
    const slots = Int32Array.from({ length }, (_, t) => order[(first + t) % capacity] as number);
    first += length;
    for (let s = 0; s < sQ; s++) {
      const isInvalid = invalid === 'all' || (invalid === 'rows' && (i + s) % 2 === 1);
      const row = { slots, topk, capacity, invalid: isInvalid, repeated };
      const drawn = drawIndices(row, random);
      indices.set(drawn, (i * sQ + s) * topk);
      const attended = Math.min(topk, Math.max(0, topkLength?.[i] ?? topk));
      for (const slot of drawn.subarray(0, attended)) {
        if (slot >= 0 && slot < capacity) used[slot] = 1;
      }
    }
  }
  const kCache =
    layout === 'bf16'
      ? bf16Cache(used, page, dQk, random.stream('rows'))
      : packedCache(layout, used, page, floatScales, random.stream('rows'));
  return {
    kCache,
    indices: { dtype: 'i32', shape: [b, sQ, topk], data: indices },
    topkLength: topkLength && { dtype: 'i32', shape: [b], data: topkLength },
  };
}

function bf16Cache(
  used: Uint8Array,
  page: number,
  dQk: number,
  random: Random,
): HostTensor<'bf16'> {
  const data = poison('bf16', used.length * dQk);
  const codes = normalCodes('bf16', keyDeviation, 1);
  used.forEach((isUsed, slot) => {
    if (isUsed) random.fill(data, slot * dQk, dQk, codes);
  });
  return { dtype: 'bf16', shape: [used.length / page, page, 1, dQk], data };
}
