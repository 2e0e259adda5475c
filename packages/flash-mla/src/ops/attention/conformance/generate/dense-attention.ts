import type { HostTensor } from '@flash-mla/core';
import { normalCodes, type Random } from '../../../conformance/suite/random.ts';
import { poison } from '../../../conformance/upload.ts';
import type { CacheParams, VarlenParams } from '../params.ts';
import type { CacheAttention, VarlenAttention } from '../problems.ts';
import { drawLengths } from './lengths.ts';
import { keyDeviation, queryDeviation } from './logits.ts';
import { fillWholePages, lengthsOutOfRange, withMissingBlocks } from './odd-numbers.ts';
import { normalTensor, type PagedPlan, pagedCache, planPages } from './paged.ts';

/** Rows of k and v behind the last request: nobody owns them. */
const spareRows = 3;

export function generateVarlen(params: VarlenParams, random: Random): VarlenAttention {
  const { b, sQ, sK, hQ, hKv, dQk, dV, causal, dtype = 'bf16', outOfRange } = params;
  const spare = outOfRange ? 0 : spareRows;
  const queries = offsets(b, sQ, random.stream('queries'));
  const keys = offsets(b, sK, random.stream('keys'));
  const [totalQ, totalK] = [queries.data[b] as number, keys.data[b] as number];
  const deviation = queryDeviation(params.sharpness, dQk, 1 / Math.sqrt(dQk));
  const rows = (d: number, name: string): HostTensor<'bf16' | 'f16'> => {
    const data = poison(dtype, (totalK + spare) * hKv * d);
    const codes = normalCodes(dtype, keyDeviation, 1);
    random.stream(name).fill(data, 0, totalK * hKv * d, codes);
    return { dtype, shape: [totalK + spare, hKv, d], data };
  };
  return {
    op: 'varlen-attention',
    q: normalTensor(dtype, [totalQ, hQ, dQk], deviation, random.stream('q')),
    k: rows(dQk, 'k'),
    v: rows(dV, 'v'),
    cuSeqlensQo: outOfRange ? beyondBoth(queries) : queries,
    cuSeqlensKv: outOfRange ? beyondBoth(keys) : keys,
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

/** The same offsets but for the first, which is below 0, and the last, which is beyond the end. */
function beyondBoth({ dtype, shape, data }: HostTensor<'i32'>): HostTensor<'i32'> {
  const last = data.length - 1;
  return { dtype, shape, data: data.map((n, i) => (i === 0 ? -7 : i === last ? n + 2 ** 30 : n)) };
}

export function generateCacheAttention(params: CacheParams, random: Random): CacheAttention {
  const { b, sQ, sK, hQ, hKv, dQk, dV, causal, page, dtype = 'bf16' } = params;
  const { outOfRange, missingBlocks, empty } = params;
  const zeroLengths = empty && 'all';
  const drawn = drawLengths({ b, sQ, varlen: b > 1, zeroLengths }, sK, random.stream('lengths'));
  if (b > 2) drawn[1] = 0;
  const block = page ?? Math.ceil(sK * 1.5);
  const inTable = page === undefined ? drawn.map((n) => Math.min(n, block)) : drawn;
  const lengths = outOfRange ? fillWholePages(inTable, block) : drawn;
  const plan =
    page === undefined
      ? ownBlocks(lengths, block)
      : planPages(lengths, page, page * hKv * dQk * 2, random.stream('pages'), {
          spareColumns: outOfRange || empty === 'table' ? 0 : 1,
          spareBlocks: empty === 'blocks' ? 0 : 2,
        });
  const deviation = queryDeviation(params.sharpness, dQk, 1 / Math.sqrt(dQk));
  const cache = (d: number, name: string) =>
    pagedCache(plan, { dtype, page: block, heads: hKv, d }, keyDeviation, random.stream(name));
  return {
    op: 'cache-attention',
    q: normalTensor(dtype, [b, sQ, hQ, dQk], deviation, random.stream('q')),
    kCache: cache(dQk, 'k'),
    vCache: cache(dV, 'v'),
    cacheSeqlens: {
      dtype: 'i32',
      shape: [b],
      data: outOfRange ? lengthsOutOfRange(lengths, Math.max(...lengths)) : lengths,
    },
    blockTable:
      page === undefined
        ? undefined
        : missingBlocks
          ? withMissingBlocks(plan.blockTable, plan.blocks, random.stream('missing'))
          : plan.blockTable,
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
