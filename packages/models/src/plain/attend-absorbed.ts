import type { Sequence } from '../layers/batch.ts';
import type { AttentionCall } from '../layers/operations.ts';
import { matrix, type PlainMatrix, rowsOf } from './matrix.ts';
import { dotRows, mixRows, type Rows } from './products.ts';

/**
 * Attention over the latents: queries are brought to the latent space, so that the cache's rows are keys
 * and, but for their rotated part, values of every head.
 */
export function attendAbsorbed(
  call: AttentionCall<PlainMatrix>,
  sequence: Sequence,
  pageSize: number,
): void {
  for (let i = 0; i < sequence.count; i++) attendToken(call, sequence, i, pageSize);
}

function attendToken(
  { queries, keyValue, cache, config, out }: AttentionCall<PlainMatrix>,
  { pages, start, row: firstRow }: Sequence,
  index: number,
  pageSize: number,
): void {
  const { numHeads, kvLoraRank: rank, nopeDim, ropeDim, vDim, softmaxScale } = config;
  const row = firstRow + index;
  const length = start + index + 1;
  const latentQueries = matrix(numHeads, rank + ropeDim);
  for (let head = 0; head < numHeads; head++) {
    const from = head * (nopeDim + ropeDim);
    const up = rowsOf(keyValue, head * (nopeDim + vDim));
    mixRows(rowsOf(queries, row, from), up, rowsOf(latentQueries, head), 1, rank, nopeDim);
    const at = row * queries.columns + from + nopeDim;
    const rotated = queries.data.subarray(at, at + ropeDim);
    latentQueries.data.set(rotated, head * latentQueries.columns + rank);
  }
  const scores = matrix(numHeads, length);
  eachPage(cache, pages, length, pageSize, (keys, begin, count) => {
    dotRows(rowsOf(latentQueries), keys, rowsOf(scores, 0, begin), numHeads, count, cache.columns);
  });
  for (let head = 0; head < numHeads; head++) {
    softmax(scores.data.subarray(head * length, (head + 1) * length), softmaxScale);
  }
  const mixed = matrix(numHeads, rank);
  eachPage(cache, pages, length, pageSize, (values, begin, count) => {
    mixRows(rowsOf(scores, 0, begin), values, rowsOf(mixed), numHeads, rank, count);
  });
  for (let head = 0; head < numHeads; head++) {
    const up = rowsOf(keyValue, head * (nopeDim + vDim) + nopeDim);
    dotRows(rowsOf(mixed, head), up, rowsOf(out, row, head * vDim), 1, vDim, rank);
  }
}

/** Calls back with the cache's rows page by page, and which of the tokens they are. */
function eachPage(
  cache: PlainMatrix,
  pages: ArrayLike<number>,
  length: number,
  pageSize: number,
  visit: (rows: Rows, begin: number, count: number) => void,
): void {
  for (let begin = 0; begin < length; begin += pageSize) {
    const page = pages[begin / pageSize] ?? 0;
    visit(rowsOf(cache, page * pageSize), begin, Math.min(pageSize, length - begin));
  }
}

function softmax(x: Float32Array, scale: number): void {
  let max = Number.NEGATIVE_INFINITY;
  for (const value of x) max = Math.max(max, value);
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    const value = Math.exp(((x[i] as number) - max) * scale);
    x[i] = value;
    sum += value;
  }
  for (let i = 0; i < x.length; i++) x[i] = (x[i] as number) / sum;
}
