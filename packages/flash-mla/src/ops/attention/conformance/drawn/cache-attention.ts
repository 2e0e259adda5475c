import type { HostTensor } from '@flash-mla/core';
import {
  callSpace,
  type PropertyOperation,
  reduced,
  stepCount,
} from '../../../conformance/property/operation.ts';
import { choice, flag, integer } from '../../../conformance/property/parameters.ts';
import { caseCost } from '../../../conformance/suite/cost.ts';
import { cacheAttention } from '../cache-attention.ts';
import { counted, drawLengths, lengthsKind } from '../draw/lengths.ts';
import { columnsOf, drawTable, pagedSpace } from '../draw/paged.ts';
import { magnitudesOf, normalTensor, rowsTensor, valuesSpace } from '../draw/values.ts';
import type { CacheAttention } from '../problems.ts';

const headDim = integer(8, 256, { step: 8, usual: [64, 128, 192] });

const space = {
  ...callSpace,
  dtype: choice('bf16', 'f16'),
  b: integer(1, 5),
  sQ: integer(1, 6),
  hKv: integer(1, 4),
  group: integer(1, 16, { usual: [1, 4] }),
  dQk: headDim,
  dV: headDim,
  /** False: request i owns block i. */
  paged: flag(0.75),
  ...pagedSpace,
  lengths: lengthsKind,
  causal: flag(0.5),
  ...valuesSpace,
};

/** `flashAttnWithKvCache`. */
export const drawnCacheAttention: PropertyOperation<typeof space> = {
  kind: cacheAttention,
  share: 2,
  space,

  normalize(values) {
    const { b, hKv, page, dtype, paged } = values;
    const most = dtype === 'f16' ? 6 : 12;
    return {
      ...values,
      maxBlocks: paged ? reduced(values.maxBlocks, 1, (n) => n * page <= 400) : 1,
      blocks: paged ? values.blocks : Math.max(b, values.blocks),
      noBlocks: paged && values.noBlocks,
      noColumns: paged && values.noColumns,
      table: paged ? values.table : 'good',
      group: reduced(values.group, 1, (n) => n * hKv <= 24),
      valueExponent: Math.max(-most, Math.min(most, values.valueExponent)),
    };
  },

  cost({ b, sQ, page, maxBlocks, hKv, group, dQk, dV }) {
    const shape = { b, sQ, sK: page * maxBlocks, hKv, hQ: hKv * group, dQk, dV };
    return caseCost(cacheAttention, { op: 'cache-attention', ...shape });
  },

  build(values, random) {
    const { dtype, b, sQ, hKv, group, dQk, dV, page, paged, causal } = values;
    const limits = { capacity: page * columnsOf(values), unit: page };
    const lengths = Array.from({ length: stepCount(values) }, (_, step) =>
      drawLengths(values.lengths, b, limits, random.stream(`lengths ${step}`)),
    );
    const { blockTable, blocks, used } = paged
      ? drawTable(values, lengths, random.stream('table'))
      : ownBlocks(values.blocks, page, lengths);
    const sizes = magnitudesOf(values, dQk, dtype === 'f16' ? 2 ** 12 : undefined);
    const cache = (d: number, name: string) =>
      rowsTensor(dtype, [blocks, page, hKv, d], used, sizes.keyDeviation, random.stream(name));
    const queries = [b, sQ, hKv * group, dQk];
    const common = {
      op: 'cache-attention',
      q: normalTensor(dtype, queries, sizes.queryDeviation, random.stream('q')),
      kCache: cache(dQk, 'k'),
      vCache: cache(dV, 'v'),
      blockTable,
      softmaxScale: sizes.softmaxScale,
      causal,
    } as const;
    const steps = lengths.map(
      (data): CacheAttention => ({ ...common, cacheSeqlens: { dtype: 'i32', shape: [b], data } }),
    );
    return { steps, valueSize: sizes.keyDeviation / 0.1 };
  },
};

/** Request i owns block i. */
function ownBlocks(
  blocks: number,
  page: number,
  lengths: readonly Int32Array[],
): { blockTable: HostTensor<'i32'> | undefined; blocks: number; used: Uint8Array } {
  const used = new Uint8Array(blocks * page);
  for (const each of lengths) {
    each.forEach((length, i) => {
      used.fill(1, i * page, i * page + counted(length, page));
    });
  }
  return { blockTable: undefined, blocks, used };
}
