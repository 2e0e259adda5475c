import { decodeAll, decodeInto } from '@flash-mla/core';
import type { Answers } from '../problem.ts';
import type { Divisible, Division } from './sub-problem.ts';

/**
 * What holds for every row whatever its values are, for the rows whose answers are too expensive to
 * know: nothing is NaN; a row without keys (lse +inf) is 0; any other is a mean of values and so no
 * larger than the largest of them. Returns what is wrong, or undefined.
 *
 * @param valueSize size of values of packed rows, relative to those of the suite.
 */
export function insanity<P extends Divisible>(
  division: Division<P>,
  problem: P,
  { out, lse }: Answers,
  valueSize = 1,
): string | undefined {
  if (!out || !lse) return 'out or lse is missing';
  const d = out.shape.at(-1) as number;
  const lses = decodeAll(lse);
  // Rounding P and the output to 8 bits may push a value up by a unit in the last of them.
  const limit = division.largestValue(problem, valueSize) * (1 + 2 ** -7);
  const row = new Float64Array(d);
  for (let r = 0; r < out.data.length / d; r++) {
    const value = lses[division.lsePlace(problem, r)] as number;
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
