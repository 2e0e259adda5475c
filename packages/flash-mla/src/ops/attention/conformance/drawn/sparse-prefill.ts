import {
  callSpace,
  type PropertyOperation,
  reduced,
  stepCount,
} from '../../../conformance/property/operation.ts';
import { choice, flag, integer } from '../../../conformance/property/parameters.ts';
import { caseCost } from '../../../conformance/suite/cost.ts';
import { drawIndices, indicesKind } from '../draw/indices.ts';
import { drawLengths } from '../draw/lengths.ts';
import { drawSink, sinkKind } from '../draw/sink.ts';
import { magnitudesOf, normalTensor, rowsTensor, valuesSpace } from '../draw/values.ts';
import type { SparsePrefill } from '../problems.ts';
import { sparsePrefill } from '../sparse-prefill.ts';

const space = {
  ...callSpace,
  /** Queries and keys of 576 columns, else of 512. */
  wide: flag(0.5),
  sQ: integer(1, 12),
  hKv: integer(1, 3),
  group: integer(1, 130, { usual: [1, 16, 64, 128] }),
  sKv: integer(1, 300),
  topk: integer(1, 300, { usual: [64, 128] }),
  indices: indicesKind,
  topkLength: choice('none', 'none', 'full', 'ragged', 'wild'),
  sink: sinkKind,
  ...valuesSpace,
};

/** `flashMlaSparseFwd`. */
export const drawnSparsePrefill: PropertyOperation<typeof space> = {
  kind: sparsePrefill,
  share: 3,
  space,

  normalize(values) {
    const { sQ, hKv } = values;
    return {
      ...values,
      group: reduced(values.group, 1, (n) => n * hKv * sQ <= 400),
      topk: reduced(values.topk, 1, (n) => n * hKv * sQ <= 900),
      scale: 'given',
    };
  },

  cost({ sQ, hKv, group, topk, sKv, wide }) {
    const shape = { sQ, sKv, topk, hKv, hQ: hKv * group, dQk: wide ? 576 : 512 } as const;
    return caseCost(sparsePrefill, { op: 'sparse-prefill', ...shape });
  },

  build(values, random) {
    const { sQ, hKv, group, sKv, topk, topkLength } = values;
    const dQk = values.wide ? 576 : 512;
    const lengths =
      topkLength === 'none'
        ? undefined
        : Array.from({ length: stepCount(values) }, (_, step) => {
            const limits = { capacity: topk, unit: 64 };
            return drawLengths(topkLength, sQ, limits, random.stream(`lengths ${step}`));
          });
    const used = new Uint8Array(sKv * hKv);
    const indices = drawIndices(
      {
        outer: [sQ, hKv],
        topk,
        rows: sKv,
        kind: values.indices,
        lengthsOf: (row) => (lengths ?? []).map((data) => data[Math.floor(row / hKv)] as number),
        place: (row, index) => index * hKv + (row % hKv),
      },
      used,
      random.stream('indices'),
    );
    const sizes = magnitudesOf(values, dQk);
    const queries = [sQ, hKv * group, dQk];
    const common = {
      op: 'sparse-prefill',
      q: normalTensor(
        'bf16',
        queries,
        sizes.queryDeviation,
        random.stream('q'),
        values.sameQueries,
      ),
      kv: rowsTensor('bf16', [sKv, hKv, dQk], used, sizes.keyDeviation, random.stream('kv')),
      indices,
      smScale: sizes.scale,
      dV: 512,
      attnSink: drawSink(values.sink, hKv * group, random.stream('sink')),
    } as const;
    const steps = Array.from({ length: stepCount(values) }, (_, step): SparsePrefill => {
      const data = lengths?.[step];
      return { ...common, topkLength: data && { dtype: 'i32', shape: [sQ], data } };
    });
    return { steps, valueSize: sizes.keyDeviation / 0.1 };
  },
};
