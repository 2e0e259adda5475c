import { sinkFactor } from './attend.ts';

/** Partial results of one row of a split request. */
export interface PartialRows {
  /** (splits, d): attention over the keys of each split alone. */
  readonly out: Float64Array;
  /** (splits): natural log; a split without keys has −inf or +inf. */
  readonly lse: Float64Array;
  readonly headDimV: number;
}

/**
 * Merges the splits of one row: out = Σ exp(lse_i − lse) · out_i with exp(lse) = Σ exp(lse_i). This is
 * what makes cutting a sequence anywhere harmless.
 */
export function combineSplits(
  { out, lse, headDimV }: PartialRows,
  sink?: number,
): { out: Float64Array; lse: number } {
  const finite = lse.map((value) =>
    value === Number.POSITIVE_INFINITY ? Number.NEGATIVE_INFINITY : value,
  );
  const max = finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const merged = new Float64Array(headDimV);
  if (max === Number.NEGATIVE_INFINITY) return { out: merged, lse: Number.POSITIVE_INFINITY };
  const total = max + Math.log(finite.reduce((sum, value) => sum + Math.exp(value - max), 0));
  const share = sink === undefined ? 1 : sinkFactor(total, sink);
  finite.forEach((value, split) => {
    const weight = Math.exp(value - total) * share;
    if (weight === 0) return;
    for (let c = 0; c < headDimV; c++) {
      merged[c] = (merged[c] as number) + weight * (out[split * headDimV + c] as number);
    }
  });
  return { out: merged, lse: total };
}
