import {
  type PropertyOperation,
  reduced,
  stepCount,
} from '../../../conformance/property/operation.ts';
import { choice, flag, integer } from '../../../conformance/property/parameters.ts';
import { caseCost } from '../../../conformance/suite/cost.ts';
import { denseDecode } from '../dense-decode.ts';
import { decodeSpace } from '../draw/decode-call.ts';
import { drawLengths, lengthsKind } from '../draw/lengths.ts';
import { columnsOf, drawTable, pagedSpace } from '../draw/paged.ts';
import { magnitudesOf, normalTensor, rowsTensor, valuesSpace } from '../draw/values.ts';
import type { DenseDecode } from '../problems.ts';

const space = {
  ...decodeSpace,
  dtype: choice('bf16', 'f16', 'e4m3'),
  b: integer(1, 6),
  sQ: integer(1, 4),
  hKv: integer(1, 4),
  /** Query heads that share a KV head. */
  group: integer(1, 130, { usual: [1, 4, 16, 64, 128] }),
  dQk: integer(16, 576, { step: 16, usual: [576, 576, 64] }),
  dV: integer(16, 512, { step: 16, usual: [512, 512, 64] }),
  ...pagedSpace,
  lengths: lengthsKind,
  causal: flag(0.5),
  ...valuesSpace,
  descaleQ: choice('none', 'given', 'given', 'zero'),
  descaleK: choice('none', 'given', 'given', 'zero'),
};

/** `flashMlaWithKvCache` without indices. */
export const drawnDenseDecode: PropertyOperation<typeof space> = {
  kind: denseDecode,
  share: 6,
  space,

  normalize(values) {
    const { sQ, hKv, dQk, dtype, page, long } = values;
    const isE4m3 = dtype === 'e4m3';
    const group = reduced(values.group, 1, (n) => n * sQ * hKv <= (long ? 24 : 256));
    const b = reduced(values.b, 1, (n) => n * group * sQ * hKv <= (long ? 24 : 512));
    const rows = b * group * sQ * hKv;
    return {
      ...values,
      b,
      dV: Math.min(values.dV, dQk),
      group,
      maxBlocks: reduced(values.maxBlocks, 1, (n) => n * page * rows * (long ? 8 : 1) <= 60_000),
      valueExponent: limited(values.valueExponent, dtype === 'f16' ? 6 : 12),
      descaleQ: isE4m3 ? values.descaleQ : 'none',
      descaleK: isE4m3 ? values.descaleK : 'none',
    };
  },

  cost({ b, sQ, hKv, group, dQk, dV, page, ...columns }) {
    const sK = page * columnsOf(columns);
    const shape = { b, sQ, hKv, hQ: hKv * group, dQk, dV, sK };
    return caseCost(denseDecode, { op: 'dense-decode', ...shape });
  },

  build(values, random) {
    const { b, sQ, hKv, group, dQk, dV, dtype, page, causal } = values;
    const capacity = page * columnsOf(values);
    const lengths = Array.from({ length: stepCount(values) }, (_, step) =>
      drawLengths(values.lengths, b, { capacity, unit: page }, random.stream(`lengths ${step}`)),
    );
    const { blockTable, blocks, used } = drawTable(values, lengths, random.stream('table'));
    const largest = { bf16: 2 ** 100, f16: 2 ** 12, e4m3: 2 ** 60 }[dtype];
    const sizes = magnitudesOf(values, dQk, largest);
    const q = stored(dtype, sizes.queryDeviation, values.descaleQ);
    const k = stored(dtype, sizes.keyDeviation, values.descaleK);
    const queries = [b, sQ, hKv * group, dQk];
    const common = {
      op: 'dense-decode',
      q: normalTensor(dtype, queries, q.deviation, random.stream('q'), values.sameQueries),
      kCache: rowsTensor(dtype, [blocks, page, hKv, dQk], used, k.deviation, random.stream('k')),
      blockTable,
      headDimV: dV,
      softmaxScale: sizes.softmaxScale,
      causal,
      descaleQ: q.descale,
      descaleK: k.descale,
    } as const;
    return {
      steps: lengths.map(
        (data): DenseDecode => ({
          ...common,
          cacheSeqlens: { dtype: 'i32', shape: [b], data },
        }),
      ),
      valueSize: (k.deviation * (k.descale ?? 1)) / 0.1,
    };
  },
};

/** How values of a deviation are stored: e4m3 has so small a range that a descale must take it. */
function stored(
  dtype: 'bf16' | 'f16' | 'e4m3',
  deviation: number,
  descale: 'none' | 'given' | 'zero',
): { readonly deviation: number; readonly descale: number | undefined } {
  if (dtype !== 'e4m3') return { deviation, descale: undefined };
  if (descale === 'none') {
    const nearest = 2 ** Math.round(Math.log2(deviation));
    return { deviation: Math.min(16, Math.max(2 ** -4, nearest)), descale: undefined };
  }
  // What a cache of zeros is quantized with: the largest value over 448.
  return { deviation: 2, descale: descale === 'zero' ? 0 : Math.fround(deviation / 2) };
}

function limited(exponent: number, most: number): number {
  return Math.max(-most, Math.min(most, exponent));
}
