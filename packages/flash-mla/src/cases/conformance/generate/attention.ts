import type { HostTensor } from '../../../reference/host-tensor.ts';
import type { CacheAttention, VarlenAttention } from '../../problem.ts';
import { poison } from '../../upload.ts';
import type { CacheParams, VarlenParams } from '../params.ts';
import { normalCodes, type Random } from '../random.ts';
import { drawLengths } from './lengths.ts';
import { keyDeviation, queryDeviation } from './logits.ts';
import { normalTensor, type PagedPlan, pagedCache, planPages } from './paged.ts';

/** Rows of k and v behind the last request: nobody owns them. */
const spareRows = 3;

export function generateVarlen(params: VarlenParams, random: Random): VarlenAttention {
  const { b, sQ, sK, hQ, hKv, dQk, dV, causal, dtype = 'bf16' } = params;
  const queries = offsets(b, sQ, random.stream('queries'));
  const keys = offsets(b, sK, random.stream('keys'));
  const [totalQ, totalK] = [queries.data[b] as number, keys.data[b] as number];
  const deviation = queryDeviation(params.sharpness, dQk, 1 / Math.sqrt(dQk));
  const rows = (d: number, name: string): HostTensor<'bf16' | 'f16'> => {
    const data = poison(dtype, (totalK + spareRows) * hKv * d);
    const codes = normalCodes(dtype, keyDeviation, 1);
    random.stream(name).fill(data, 0, totalK * hKv * d, codes);
    return { dtype, shape: [totalK + spareRows, hKv, d], data };
  };
  return {
    op: 'varlen-attention',
    q: normalTensor(dtype, [totalQ, hQ, dQk], deviation, random.stream('q')),
    k: rows(dQk, 'k'),
    v: rows(dV, 'v'),
    cuSeqlensQo: queries,
    cuSeqlensKv: keys,
    causal,
  };
}

/** Prefix sums of lengths from 0 to twice the mean; the first is not 0, so that there is a row. */
function offsets(b: number, mean: number, random: Random): HostTensor<'i32'> {
  const data = new Int32Array(b + 1);
  for (let i = 0; i < b; i++) {
    const isEmpty = i > 0 && random.chance(0.2);
    const length = b === 1 ? mean : isEmpty ? 0 : random.integer(1, 2 * mean - 1);
    data[i + 1] = (data[i] as number) + length;
  }
  return { dtype: 'i32', shape: [b + 1], data };
}

export function generateCacheAttention(params: CacheParams, random: Random): CacheAttention {
  const { b, sQ, sK, hQ, hKv, dQk, dV, causal, page, dtype = 'bf16' } = params;
  const lengths = drawLengths({ b, sQ, varlen: b > 1 }, sK, random.stream('lengths'));
  if (b > 2) lengths[1] = 0;
  const plan =
    page === undefined
      ? ownBlocks(lengths, Math.ceil(sK * 1.5))
      : planPages(lengths, page, page * hKv * dQk * 2, random.stream('pages'));
  const capacity = page ?? Math.ceil(sK * 1.5);
  const deviation = queryDeviation(params.sharpness, dQk, 1 / Math.sqrt(dQk));
  const cache = (d: number, name: string) =>
    pagedCache(plan, { dtype, page: capacity, heads: hKv, d }, keyDeviation, random.stream(name));
  return {
    op: 'cache-attention',
    q: normalTensor(dtype, [b, sQ, hQ, dQk], deviation, random.stream('q')),
    kCache: cache(dQk, 'k'),
    vCache: cache(dV, 'v'),
    cacheSeqlens: { dtype: 'i32', shape: [b], data: lengths },
    blockTable: page === undefined ? undefined : plan.blockTable,
    causal,
  };
}

/** Request i owns block i. A length beyond the capacity counts as the capacity. */
function ownBlocks(lengths: Int32Array, capacity: number): PagedPlan {
  const b = lengths.length;
  const filled = lengths.map((n) => Math.min(n, capacity));
  return {
    blocks: b,
    filled,
    blockTable: { dtype: 'i32', shape: [b, 1], data: new Int32Array(b) },
  };
}
