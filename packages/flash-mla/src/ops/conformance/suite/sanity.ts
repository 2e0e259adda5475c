import { decodeAll, decodeInto, type HostTensor } from '@flash-mla/core';
import type { Answers } from '../problem.ts';
import type { Divisible } from './sub-problem.ts';

/**
 * What holds for every row whatever its values are, for the rows whose answers are too expensive to
 * know: nothing is NaN; a row without keys (lse +inf) is 0; any other is a mean of values and so no
 * larger than the largest of them. Returns what is wrong, or undefined.
 *
 * @param valueSize size of values of packed rows, relative to those of the suite.
 */
export function insanity(
  problem: Divisible,
  { out, lse }: Answers,
  valueSize = 1,
): string | undefined {
  if (!out || !lse) return 'out or lse is missing';
  const d = out.shape.at(-1) as number;
  const lses = decodeAll(lse);
  // Rounding P and the output to 8 bits may push a value up by a unit in the last of them.
  const limit = largestValue(problem, valueSize) * (1 + 2 ** -7);
  const row = new Float64Array(d);
  for (let r = 0; r < out.data.length / d; r++) {
    const value = lses[lsePlace(problem, r)] as number;
    if (Number.isNaN(value) || value === Number.NEGATIVE_INFINITY)
      return `lse of row ${r} is ${value}`;
    decodeInto(out, r * d, d, row, 0);
    const bound = value === Number.POSITIVE_INFINITY ? 0 : limit;
    for (let c = 0; c < d; c++) {
      if (Math.abs(row[c] as number) <= bound) continue;
      return `out row ${r}, column ${c} is ${row[c]}, beyond ${bound}; its lse is ${value}`;
    }
  }
  return undefined;
}

/** Where the lse of a row of `out` stands. */
export function lsePlace(problem: Divisible, row: number): number {
  if (problem.op === 'sparse-prefill') return row;
  if (problem.op === 'varlen-attention') {
    const [totalQ, hQ] = problem.q.shape as [number, number];
    return (row % hQ) * totalQ + Math.floor(row / hQ);
  }
  const [, sQ, hQ] = problem.q.shape as [number, number, number];
  const head = row % hQ;
  const query = Math.floor(row / hQ);
  return (Math.floor(query / sQ) * hQ + head) * sQ + (query % sQ);
}

/** The largest finite value of a cache, packed ones aside: theirs are below 448 times their scales. */
function largestValue(problem: Divisible, valueSize: number): number {
  switch (problem.op) {
    case 'dense-decode':
      return largest(problem.kCache) * Math.abs(problem.descaleK ?? 1);
    case 'sparse-decode':
      // Scales of the suite's packed rows are below 2^-8.
      if (problem.layout !== 'bf16') return 448 * 2 ** -8 * valueSize;
      return Math.max(largest(problem.kCache), problem.extra ? largest(problem.extra.kCache) : 0);
    case 'sparse-prefill':
      return largest(problem.kv);
    case 'varlen-attention':
      return largest(problem.v);
    case 'cache-attention':
      return largest(problem.vCache);
  }
}

function largest(tensor: HostTensor): number {
  const chunk = new Float64Array(4096);
  let most = 0;
  for (let begin = 0; begin < tensor.data.length; begin += chunk.length) {
    const count = Math.min(chunk.length, tensor.data.length - begin);
    decodeInto(tensor, begin, count, chunk, 0);
    for (let i = 0; i < count; i++) {
      const size = Math.abs(chunk[i] as number);
      if (size > most) most = size; // false for the poison, NaN
    }
  }
  return most;
}
