import { decodeAll, type HostTensor } from '@flash-mla/core';
import { indexDim } from '../limits.ts';

/** Arguments of {@link mqaLogits} on the host. */
export interface MqaLogitsProblem {
  /** (rows, heads, 128). */
  readonly q: HostTensor<'e4m3'>;
  /** (rows, heads). */
  readonly weights: HostTensor<'f32'>;
  /** e4m3 (keys, 128) and f32 (keys) of a query: which keys it may see, by column. */
  keyOf(row: number, column: number): { readonly key: Float64Array; readonly scale: number };
  /** Columns of each row. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly columns: number;
}

/** scale of the key · Σ over heads of weight · max(0, q · k); −∞ where there is no key. */
export function mqaLogits(problem: MqaLogitsProblem): Float64Array {
  const { q, starts, ends, columns } = problem;
  const [rows = 0, heads = 0] = q.shape;
  const queries = decodeAll(q);
  const weights = decodeAll(problem.weights);
  const logits = new Float64Array(rows * columns).fill(Number.NEGATIVE_INFINITY);
  for (let row = 0; row < rows; row++) {
    const end = Math.min(ends[row] as number, columns);
    for (let column = Math.max(0, starts[row] as number); column < end; column++) {
      const { key, scale } = problem.keyOf(row, column);
      let sum = 0;
      for (let head = 0; head < heads; head++) {
        const from = (row * heads + head) * indexDim;
        let dot = 0;
        for (let i = 0; i < indexDim; i++)
          dot += (queries[from + i] as number) * (key[i] as number);
        sum += (weights[row * heads + head] as number) * Math.max(0, dot);
      }
      logits[row * columns + column] = sum * scale;
    }
  }
  return logits;
}
