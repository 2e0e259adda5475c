import type { HostTensor } from '@flash-mla/core';
import {
  type PropertyOperation,
  reduced,
  stepCount,
} from '../../../conformance/property/operation.ts';
import { choice, flag, integer, type ValuesOf } from '../../../conformance/property/parameters.ts';
import { caseCost } from '../../../conformance/suite/cost.ts';
import type { Random } from '../../../conformance/suite/random.ts';
import { decodeSpace } from '../draw/decode-call.ts';
import { drawIndices, indicesKind } from '../draw/indices.ts';
import { drawLengths } from '../draw/lengths.ts';
import { drawSink, sinkKind } from '../draw/sink.ts';
import { magnitudesOf, normalTensor, rowsTensor, valuesSpace } from '../draw/values.ts';
import { packedCache } from '../generate/packed.ts';
import type { SparseDecode } from '../problems.ts';
import { sparseDecode } from '../sparse-decode.ts';

const topkLengths = choice('none', 'none', 'full', 'ragged', 'wild');

const space = {
  ...decodeSpace,
  layout: choice('v32', 'model1', 'bf16'),
  /** bf16 rows: of 576 columns, else of 512. */
  wide: flag(0.5),
  b: integer(1, 5),
  sQ: integer(1, 3),
  hQ: integer(1, 130, { usual: [1, 16, 64, 128] }),
  topk: integer(1, 300, { usual: [64, 128] }),
  page: integer(1, 130, { usual: [64, 64, 16, 1] }),
  blocks: integer(1, 8),
  noBlocks: flag(0.03),
  indices: indicesKind,
  topkLength: topkLengths,
  extra: flag(0.35),
  extraTopk: integer(1, 200, { usual: [64, 128] }),
  extraPage: integer(1, 130, { usual: [64, 64, 16, 1] }),
  extraBlocks: integer(1, 6),
  extraNoBlocks: flag(0.03),
  extraIndices: indicesKind,
  extraTopkLength: topkLengths,
  sink: sinkKind,
  /** v32: scales that are no powers of two. */
  scales: choice('powers', 'powers', 'powers', 'floatScales'),
  ...valuesSpace,
};

type SparseValues = ValuesOf<typeof space>;

/** `flashMlaWithKvCache` with indices. */
export const drawnSparseDecode: PropertyOperation<typeof space> = {
  kind: sparseDecode,
  share: 5,
  space,

  normalize(values) {
    const { layout, sQ, b, extra, long } = values;
    const floatScales = layout === 'v32' && values.scales === 'floatScales';
    // Rows that are rounded to bf16 move logits by a share of their size: only small ones stay true.
    const isLarge = values.logits !== 'normal' && values.logits !== 'flat';
    return {
      ...values,
      wide: layout === 'v32' || (layout === 'bf16' && values.wide),
      hQ: reduced(values.hQ, 1, (n) => n * sQ * b <= (long ? 24 : 400)),
      topk: reduced(values.topk, 1, (n) => n * sQ * b <= (long ? 300 : 700)),
      extraTopk: reduced(values.extraTopk, 1, (n) => n * sQ * b <= (long ? 300 : 700)),
      extraNoBlocks: extra && values.extraNoBlocks,
      scales: floatScales ? 'floatScales' : 'powers',
      logits: floatScales && isLarge ? 'normal' : values.logits,
    };
  },

  cost({ layout, wide, b, sQ, hQ, topk, extra, extraTopk, long }) {
    const times = long ? 8 : 1;
    const cache = { sK: 0, topk: topk * times, page: 1 };
    const second = extra && { extra: { sK: 0, topk: extraTopk * times, page: 1 } };
    const dQk = wide ? 576 : 512;
    return caseCost(sparseDecode, {
      op: 'sparse-decode',
      layout,
      b,
      sQ,
      hQ,
      dQk,
      cache,
      ...second,
    });
  },

  build(values, random) {
    const { b, sQ, hQ, layout, extra } = values;
    const dQk = values.wide ? 576 : 512;
    const sizes = magnitudesOf(values, dQk);
    const main = drawCache(values, values, dQk, sizes.keyDeviation, random.stream('main'));
    const second = extra
      ? drawCache(values, extraOf(values), dQk, sizes.keyDeviation, random.stream('extra'))
      : undefined;
    const queries = [b, sQ, hQ, dQk];
    const common = {
      op: 'sparse-decode',
      q: normalTensor(
        'bf16',
        queries,
        sizes.queryDeviation,
        random.stream('q'),
        values.sameQueries,
      ),
      layout,
      kCache: main.kCache,
      indices: main.indices,
      attnSink: drawSink(values.sink, hQ, random.stream('sink')),
      headDimV: 512,
      softmaxScale: sizes.softmaxScale,
    } as const;
    const steps = Array.from(
      { length: stepCount(values) },
      (_, step): SparseDecode => ({
        ...common,
        topkLength: main.topkLengths?.[step],
        extra: second && {
          kCache: second.kCache,
          indices: second.indices,
          topkLength: second.topkLengths?.[step],
        },
      }),
    );
    return { steps, valueSize: sizes.keyDeviation / 0.1 };
  },
};

type CacheValues = Pick<
  SparseValues,
  'topk' | 'page' | 'blocks' | 'noBlocks' | 'indices' | 'topkLength'
>;

function extraOf(values: SparseValues): CacheValues {
  return {
    topk: values.extraTopk,
    page: values.extraPage,
    blocks: values.extraBlocks,
    noBlocks: values.extraNoBlocks,
    indices: values.extraIndices,
    topkLength: values.extraTopkLength,
  };
}

interface CacheDraw {
  readonly kCache: HostTensor;
  readonly indices: HostTensor<'i32'>;
  /** One for each step; undefined: none is given. */
  readonly topkLengths: readonly HostTensor<'i32'>[] | undefined;
}

function drawCache(
  values: SparseValues,
  cache: CacheValues,
  dQk: number,
  deviation: number,
  random: Random,
): CacheDraw {
  const { b, sQ, layout } = values;
  const { page, topkLength } = cache;
  const topk = cache.topk * (values.long ? 8 : 1);
  const blocks = cache.noBlocks ? 0 : cache.blocks;
  const lengths =
    topkLength === 'none'
      ? undefined
      : Array.from({ length: stepCount(values) }, (_, step) => {
          const limits = { capacity: topk, unit: 64 };
          return drawLengths(topkLength, b, limits, random.stream(`lengths ${step}`));
        });
  const used = new Uint8Array(blocks * page);
  const indices = drawIndices(
    {
      outer: [b, sQ],
      topk,
      rows: used.length,
      kind: cache.indices,
      lengthsOf: (row) => (lengths ?? []).map((data) => data[Math.floor(row / sQ)] as number),
    },
    used,
    random.stream('indices'),
  );
  const rows = random.stream('rows');
  const kCache =
    layout === 'bf16'
      ? rowsTensor('bf16', [blocks, page, 1, dQk], used, deviation, rows)
      : packedCache(
          layout,
          used,
          page,
          values.scales === 'floatScales',
          rows,
          values.valueExponent,
        );
  return {
    kCache,
    indices,
    topkLengths: lengths?.map((data) => ({ dtype: 'i32', shape: [b], data })),
  };
}
