import type { DType } from '@flash-mla/core';
import type { AnswerName, Op } from './problem.ts';

/**
 * How far an answer may be from the one expected. An element passes if its distance is below
 * `absolute` or, relative to the expected value, below `relative`. Infinities and NaN must stand in
 * the same places.
 */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
  /** Bound of 1 − 2Σab / Σ(a² + b²) over the whole tensor; undefined: not looked at. */
  readonly cosine?: number;
}

/** Bit for bit; NaN equals NaN. */
export const exact: Tolerance = { absolute: 0, relative: 0 };

/** One rounding to a dtype of a value that was computed in float32, of the order of 1. */
export function roundingOf(dtype: 'f32' | 'bf16' | 'e4m3'): Tolerance {
  const epsilon = { f32: 2 ** -19, bf16: 2 ** -8, e4m3: 2 ** -4 }[dtype];
  // e4m3 has subnormals, which are 2^-9 apart.
  return { absolute: dtype === 'e4m3' ? 1.02 * 2 ** -10 : 1e-6, relative: 1.02 * epsilon };
}

/**
 * FlashMLA's own bounds (its tests/) where the output is bf16: P and the output are rounded to 8
 * significant bits, and values are of the order of 0.1. A float16 has three bits more, so its bounds
 * are an eighth, and a 64th where errors are squared. An e4m3 problem has bf16 output, and as its
 * products are exact in float32 it is held to the bounds of bf16. (A kernel that rounds P to e4m3 too
 * would be off by 2.6 % in the mean and have bounds of its own among the exclusions.)
 */
const out: Partial<Record<Op, Tolerance>> = {
  'dense-decode': { absolute: 8e-4, relative: 2.01 / 128, cosine: 5e-6 },
  'sparse-decode': { absolute: 1e-3, relative: 2.01 / 128, cosine: 5e-6 },
  'sparse-prefill': { absolute: 8e-4, relative: 3.01 / 128, cosine: 7e-6 },
  // FlashMLA's dense prefill has one test for two architectures; these kernels can do as decoding does.
  'varlen-attention': { absolute: 8e-4, relative: 2.01 / 128, cosine: 5e-6 },
  'cache-attention': { absolute: 8e-4, relative: 2.01 / 128, cosine: 5e-6 },
};

/** lse and max_logits are float32 whatever the inputs. */
const logits: Tolerance = { absolute: 1e-6, relative: 8.01 / 65536 };
const prefillLogits: Tolerance = { absolute: 1e-6, relative: 2.01 / 65536 };

/** The bounds of one answer. `dtype`: of the output tensor. */
export function toleranceOf(op: Op, answer: AnswerName, dtype: DType): Tolerance {
  if (answer !== 'out') return op === 'sparse-prefill' ? prefillLogits : logits;
  const bounds = out[op];
  if (bounds === undefined) return exact;
  if (dtype !== 'f16') return bounds;
  const { absolute, relative, cosine = 0 } = bounds;
  return { absolute: absolute / 8, relative: relative / 8, cosine: cosine / 64 };
}
