import type { HostTensor } from '@flash-mla/core';
import {
  callSpace,
  type PropertyOperation,
  reduced,
  stepCount,
} from '../../../conformance/property/operation.ts';
import { choice, flag, integer } from '../../../conformance/property/parameters.ts';
import { caseCost } from '../../../conformance/suite/cost.ts';
import type { Random } from '../../../conformance/suite/random.ts';
import { drawLengths } from '../draw/lengths.ts';
import { magnitudesOf, normalTensor, rowsTensor, valuesSpace } from '../draw/values.ts';
import type { VarlenAttention } from '../problems.ts';
import { varlenAttention } from '../varlen-attention.ts';

const headDim = integer(8, 256, { step: 8, usual: [64, 128, 192] });

const space = {
  ...callSpace,
  dtype: choice('bf16', 'f16'),
  b: integer(1, 5),
  hKv: integer(1, 4),
  group: integer(1, 16, { usual: [1, 4] }),
  dQk: headDim,
  dV: headDim,
  /** The most queries and keys of a request. */
  sQ: integer(1, 80),
  sK: integer(1, 200),
  lengths: choice('full', 'ragged', 'ragged'),
  /** `wild`: the first may be below 0, the last beyond the end. */
  offsets: choice('sound', 'sound', 'wild'),
  causal: flag(0.5),
  /** Rows of q behind those of the last request. */
  spareQueries: integer(0, 3, { usual: [0] }),
  /** Rows of k and v behind those of the last request. */
  spareKeys: integer(0, 5),
  /** By how much the longest lengths that are stated exceed the real ones. */
  slack: integer(0, 40, { usual: [0] }),
  ...valuesSpace,
};

/** `flashAttnVarlenFunc`. */
export const drawnVarlenAttention: PropertyOperation<typeof space> = {
  kind: varlenAttention,
  share: 2,
  space,

  normalize(values) {
    const { b, hKv, dtype } = values;
    const most = dtype === 'f16' ? 6 : 12;
    return {
      ...values,
      sQ: reduced(values.sQ, 1, (n) => n * b <= 150),
      sK: reduced(values.sK, 1, (n) => n * b <= 400),
      group: reduced(values.group, 1, (n) => n * hKv <= 24),
      valueExponent: Math.max(-most, Math.min(most, values.valueExponent)),
    };
  },

  cost({ b, sQ, sK, hKv, group, dQk, dV }) {
    const shape = { b, sQ, sK, hKv, hQ: hKv * group, dQk, dV };
    return caseCost(varlenAttention, { op: 'varlen-attention', ...shape });
  },

  build(values, random) {
    const { dtype, b, hKv, group, dQk, dV, sQ, sK, causal, slack } = values;
    const offsets = (most: number, name: string) =>
      Array.from({ length: stepCount(values) }, (_, step) => {
        const limits = { capacity: most, unit: 64 };
        const stream = random.stream(`${name} ${step}`);
        return sums(drawLengths(values.lengths, b, limits, stream));
      });
    const queries = offsets(sQ, 'queries');
    const keys = offsets(sK, 'keys');
    const mostOf = (each: readonly Int32Array[]) =>
      Math.max(...each.map((ends) => ends[b] as number));
    const totalQ = Math.max(1, mostOf(queries) + values.spareQueries);
    const attended = mostOf(keys);
    const isWild = values.offsets === 'wild';
    const used = new Uint8Array(Math.max(1, attended + values.spareKeys));
    // An offset beyond the end counts as the end: then all rows have an owner.
    used.fill(1, 0, isWild ? used.length : attended);
    const sizes = magnitudesOf(values, dQk, dtype === 'f16' ? 2 ** 12 : undefined);
    const rows = (d: number, name: string) =>
      rowsTensor(dtype, [used.length, hKv, d], used, sizes.keyDeviation, random.stream(name));
    const common = {
      op: 'varlen-attention',
      q: normalTensor(dtype, [totalQ, hKv * group, dQk], sizes.queryDeviation, random.stream('q')),
      k: rows(dQk, 'k'),
      v: rows(dV, 'v'),
      softmaxScale: sizes.softmaxScale,
      causal,
    } as const;
    const vector = (data: Int32Array): HostTensor<'i32'> => ({
      dtype: 'i32',
      shape: [b + 1],
      data,
    });
    const steps = queries.map((each, step): VarlenAttention => {
      const ends = keys[step] as Int32Array;
      const wild = random.stream(`wild ${step}`);
      return {
        ...common,
        cuSeqlensQo: vector(isWild ? beyondEnds(each, totalQ, wild) : each),
        cuSeqlensKv: vector(isWild ? beyondEnds(ends, attended, wild) : ends),
      };
    });
    const stated = {
      queries: isWild ? totalQ : Math.min(totalQ, longest(queries) + slack),
      keys: isWild ? used.length : Math.min(used.length, longest(keys) + slack),
    };
    return { steps, valueSize: sizes.keyDeviation / 0.1, longest: stated };
  },
};

/** Offsets that still rise, but begin before the first row or end behind the last one. */
function beyondEnds(offsets: Int32Array, total: number, random: Random): Int32Array {
  const data = offsets.slice();
  const last = data.length - 1;
  if (random.chance(0.6)) data[0] = random.pick([-1, -7, -(2 ** 31)]);
  if (random.chance(0.6)) data[last] = random.pick([total + 1, total + 1000, 2 ** 31 - 1]);
  return data;
}

function sums(lengths: Int32Array): Int32Array {
  const data = new Int32Array(lengths.length + 1);
  lengths.forEach((n, i) => {
    data[i + 1] = (data[i] as number) + n;
  });
  return data;
}

function longest(offsets: readonly Int32Array[]): number {
  const lengths = offsets.map((ends) =>
    ends.reduce((most, end, i) => Math.max(most, end - (ends[i - 1] ?? end)), 0),
  );
  return Math.max(...lengths);
}
