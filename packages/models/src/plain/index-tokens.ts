import { indexDim } from '../config/indexer-config.ts';
import { type Sequence, slotOf } from '../layers/batch.ts';
import type { IndexKeysCall, IndexQueriesCall } from '../layers/operations.ts';
import { rotate } from './elementwise.ts';
import { matrix, type PlainMatrix, rowsOf } from './matrix.ts';
import { dotRows } from './products.ts';

const keyNormEps = 1e-6;

/** Norms and rotates index keys into the pages of their sequences. */
export function writeIndexKeys(call: IndexKeysCall<PlainMatrix>, pageSize: number): void {
  const { keys, norm, bias, rotation, cache, sequences } = call;
  for (const { pages, start, count, row } of sequences) {
    for (let i = 0; i < count; i++) {
      const from = (row + i) * indexDim;
      const to = slotOf(pages, start + i, pageSize) * indexDim;
      layerNorm(keys.data.subarray(from, from + indexDim), norm.data, bias.data, cache.data, to);
      rotate(cache.data, to, rotation, row + i);
    }
  }
}

function layerNorm(
  x: Float32Array,
  gain: Float32Array,
  bias: Float32Array,
  out: Float32Array,
  to: number,
): void {
  let mean = 0;
  for (const value of x) mean += value / x.length;
  let variance = 0;
  for (const value of x) variance += (value - mean) ** 2 / x.length;
  const factor = 1 / Math.sqrt(variance + keyNormEps);
  for (const [i, value] of x.entries()) {
    out[to + i] = (value - mean) * factor * (gain[i] as number) + (bias[i] as number);
  }
}

/**
 * The positions that each row of the batch attends to, in ascending order, then −1: (rows, topK). Rows of
 * other sequences are undefined. Positions are exact: they are far below 2^24.
 */
export function chooseTokens(call: IndexQueriesCall<PlainMatrix>, pageSize: number): PlainMatrix {
  const { queries, config, sequences } = call;
  const chosen = matrix(queries.rows, config.topK);
  for (const sequence of sequences) {
    for (let i = 0; i < sequence.count; i++) {
      const row = sequence.row + i;
      for (let head = 0; head < config.numHeads; head++) {
        rotate(queries.data, row * queries.columns + head * indexDim, call.rotation, row);
      }
      const logits = logitsOf(call, sequence, row, sequence.start + i + 1, pageSize);
      const own = chosen.data.subarray(row * config.topK, (row + 1) * config.topK);
      own.fill(-1);
      own.set(largest(logits, config.topK));
    }
  }
  return chosen;
}

function logitsOf(
  { queries, weights, cache, config }: IndexQueriesCall<PlainMatrix>,
  { pages }: Sequence,
  row: number,
  length: number,
  pageSize: number,
): Float64Array {
  const { numHeads } = config;
  const own = rowsOf(
    { data: queries.data, rows: queries.rows * numHeads, columns: indexDim },
    row * numHeads,
  );
  const logits = new Float64Array(length);
  for (let begin = 0; begin < length; begin += pageSize) {
    const count = Math.min(pageSize, length - begin);
    const page = pages[begin / pageSize] ?? 0;
    const products = matrix(numHeads, count);
    dotRows(own, rowsOf(cache, page * pageSize), rowsOf(products), numHeads, count, indexDim);
    for (let head = 0; head < numHeads; head++) {
      const weight = weights.data[row * numHeads + head] as number;
      for (let i = 0; i < count; i++) {
        const product = Math.max(0, products.data[head * count + i] as number);
        logits[begin + i] = (logits[begin + i] as number) + weight * product;
      }
    }
  }
  return logits;
}

/** Positions of the largest values in ascending order; of equal ones the first. */
function largest(values: Float64Array, count: number): number[] {
  const order = Array.from(values, (_, i) => i);
  order.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
  return order.slice(0, count).sort((a, b) => a - b);
}
