/** Arguments of {@link indexTopK} on the host. */
export interface IndexTopKProblem {
  /** (rows, columns). */
  readonly logits: Float32Array;
  readonly columns: number;
  readonly k: number;
  /** (rows): columns from `starts` to `ends` compete. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/**
 * The k largest logits of each row, as columns from the row's start on, in ascending order, then −1. Of
 * equal logits the lowest column is chosen; NaN is as small as −∞, and −0 equals 0.
 */
export function indexTopK({ logits, columns, k, starts, ends }: IndexTopKProblem): Int32Array {
  const rows = starts.length;
  const indices = new Int32Array(rows * k).fill(-1);
  for (let row = 0; row < rows; row++) {
    const start = Math.max(0, starts[row] as number);
    const end = Math.min(columns, ends[row] as number);
    const candidates = Array.from({ length: Math.max(0, end - start) }, (_, i) => {
      const value = logits[row * columns + start + i] as number;
      return { i, value: Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value };
    });
    candidates.sort((a, b) => (a.value === b.value ? a.i - b.i : b.value > a.value ? 1 : -1));
    const chosen = candidates.slice(0, k).map(({ i }) => i);
    indices.set(
      chosen.sort((a, b) => a - b),
      row * k,
    );
  }
  return indices;
}
