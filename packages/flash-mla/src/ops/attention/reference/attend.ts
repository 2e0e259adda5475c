import { scaledProducts, weightedSums } from './matrix.ts';

/** Rows of float64 values that attention runs over. */
export interface KeyRows {
  /** (count, headDimQk), row-major; already gathered: every row takes part. */
  readonly keys: Float64Array;
  readonly count: number;
  readonly headDimQk: number;
  /** (count, valueStride); the first `headDimV` columns count. MLA: the same array as `keys`. */
  readonly values: Float64Array;
  readonly valueStride: number;
  readonly headDimV: number;
}

/** Results of {@link attend}, one row per query. */
export interface AttendResult {
  /** (numQueries, headDimV). */
  readonly out: Float64Array;
  /** Natural log of Σ exp(logit); +inf where there are no keys, or all logits are −inf. */
  readonly lse: Float64Array;
  /** Largest scaled logit; −inf where there are no keys, NaN where the lse is NaN. */
  readonly maxLogits: Float64Array;
}

/**
 * What every operation of this library means: out = softmax(scale · Q Kᵀ) V for some queries over
 * some keys. Without keys the output is 0 and lse +inf, which is FlashMLA's convention.
 *
 * @param queries (numQueries, headDimQk), row-major.
 */
export function attend(
  queries: Float64Array,
  numQueries: number,
  rows: KeyRows,
  scale: number,
): AttendResult {
  const { keys, count, headDimQk, values, valueStride, headDimV } = rows;
  const out = new Float64Array(numQueries * headDimV);
  const lse = new Float64Array(numQueries).fill(Number.POSITIVE_INFINITY);
  const maxLogits = new Float64Array(numQueries).fill(Number.NEGATIVE_INFINITY);
  if (count === 0) return { out, lse, maxLogits };

  const weights = new Float64Array(numQueries * count);
  scaledProducts(queries, keys, numQueries, count, headDimQk, scale, weights);
  for (let i = 0; i < numQueries; i++) {
    const row = weights.subarray(i * count, (i + 1) * count);
    const largest = maximum(row);
    lse[i] = softmaxInPlace(row, largest);
    maxLogits[i] = Number.isNaN(lse[i]) ? Number.NaN : largest;
  }
  weightedSums(weights, values, numQueries, count, valueStride, headDimV, out);
  return { out, lse, maxLogits };
}

/** NaN if any logit is NaN: a NaN that is attended to must show. */
function maximum(row: Float64Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < row.length; j++) largest = Math.max(largest, row[j] as number);
  return largest;
}

/**
 * Logits → weights that add up to one. Returns the log of the sum of exponentials. Where every logit is
 * −inf there is nothing to see: the weights are 0 and the log is that of a row without keys.
 */
function softmaxInPlace(row: Float64Array, max: number): number {
  if (max === Number.NEGATIVE_INFINITY) {
    row.fill(0);
    return Number.POSITIVE_INFINITY;
  }
  let sum = 0;
  for (let j = 0; j < row.length; j++) {
    const weight = Math.exp((row[j] as number) - max);
    row[j] = weight;
    sum += weight;
  }
  for (let j = 0; j < row.length; j++) row[j] = (row[j] as number) / sum;
  return max + Math.log(sum);
}

/**
 * Attention sink: the share that the output keeps when a virtual key with logit `sink` and value 0
 * joins, exp(lse) / (exp(lse) + exp(sink)). −inf leaves the output as it is, +inf makes it 0, and an
 * output without keys (lse +inf) is 0 already.
 */
export function sinkFactor(lse: number, sink: number): number {
  if (lse === Number.POSITIVE_INFINITY) return 0;
  return 1 / (1 + Math.exp(sink - lse));
}
