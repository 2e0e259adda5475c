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
