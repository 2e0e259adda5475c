import type { HostTensor, StorageOf } from '@flash-mla/core';
import { choice, exponent, flag } from '../../../conformance/property/parameters.ts';
import type { Random } from '../../../conformance/suite/random.ts';
import { normalCodes } from '../../../conformance/suite/random.ts';
import { poison } from '../../../conformance/upload.ts';
import { keyDeviation } from '../generate/logits.ts';

/** Deviation of the logits. `huge` goes to where float32 tells weights apart no more. */
const logitDeviations = {
  normal: 0.5,
  flat: 0.01,
  peaky: 12,
  huge: 400,
  extreme: 2 ** 17,
} as const;

/** How large the numbers of an attention problem are. */
export const valuesSpace = {
  logits: choice('normal', 'normal', 'flat', 'peaky', 'huge', 'extreme'),
  /** Keys and values are larger than the suite's by this power of two. */
  valueExponent: exponent(-12, 12),
  scale: choice('default', 'given'),
  /** Where it is given, this power of two times the default; queries make up for it. */
  scaleExponent: exponent(-40, 40),
  /** Every request asks the same, so that one copy of its queries may serve all. */
  sameQueries: flag(0.1),
};

export interface ValuesChoice {
  readonly logits: keyof typeof logitDeviations;
  readonly valueExponent: number;
  readonly scale: 'default' | 'given';
  readonly scaleExponent: number;
}

/** The numbers that {@link ValuesChoice} means for one problem. */
export interface Magnitudes {
  readonly softmaxScale: number | undefined;
  /** The scale that counts. */
  readonly scale: number;
  /** A power of two, so that few tables of normal values are made. */
  readonly queryDeviation: number;
  /** Of keys and values as they are meant (descaled). */
  readonly keyDeviation: number;
}

/**
 * Queries get the size that gives logits the wanted spread. `largestQuery` keeps them in the range of
 * their dtype; logits are flatter then.
 */
export function magnitudesOf(
  values: ValuesChoice,
  headDimQk: number,
  largestQuery = 2 ** 100,
): Magnitudes {
  const standard = 1 / Math.sqrt(headDimQk);
  const softmaxScale = values.scale === 'given' ? standard * 2 ** values.scaleExponent : undefined;
  const scale = softmaxScale ?? standard;
  const keys = keyDeviation * 2 ** values.valueExponent;
  const wanted = logitDeviations[values.logits] / (Math.sqrt(headDimQk) * keys * scale);
  const queryDeviation = Math.min(largestQuery, 2 ** Math.round(Math.log2(wanted)));
  return { softmaxScale, scale, queryDeviation, keyDeviation: keys };
}

/** A contiguous tensor of normal values; with `same`, equal along the first dimension. */
export function normalTensor<D extends 'bf16' | 'f16' | 'e4m3'>(
  dtype: D,
  shape: readonly number[],
  deviation: number,
  random: Random,
  same = false,
): HostTensor<D> {
  const count = shape.reduce((product, n) => product * n, 1);
  const data = poison(dtype, count) as Uint16Array;
  const codes = normalCodes(dtype, deviation, deviation * 8) as Uint16Array;
  const part = same ? count / (shape[0] ?? 1) : count;
  random.fill(data, 0, part, codes);
  for (let begin = part; begin < count; begin += part) data.copyWithin(begin, 0, part);
  return { dtype, shape, data: data as StorageOf<D> };
}

/** Rows (…, width) of which those that are used hold normal values, the others NaN. */
export function rowsTensor<D extends 'bf16' | 'f16' | 'e4m3'>(
  dtype: D,
  shape: readonly number[],
  used: Uint8Array,
  deviation: number,
  random: Random,
): HostTensor<D> {
  const width = shape.reduce((product, n) => product * n, 1) / used.length;
  const data = poison(
    dtype,
    shape.reduce((product, n) => product * n, 1),
  ) as Uint16Array;
  const codes = normalCodes(dtype, deviation, deviation * 8) as Uint16Array;
  used.forEach((isUsed, row) => {
    if (isUsed) random.fill(data, row * width, width, codes);
  });
  return { dtype, shape, data: data as StorageOf<D> };
}
