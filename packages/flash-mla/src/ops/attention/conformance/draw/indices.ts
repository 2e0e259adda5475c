import type { HostTensor } from '@flash-mla/core';
import { choice } from '../../../conformance/property/parameters.ts';
import { wildNumbers } from '../../../conformance/property/wild-numbers.ts';
import type { Random } from '../../../conformance/suite/random.ts';
import { counted } from './lengths.ts';

/**
 * Which rows indices name: each at most once, with repetitions, one in some ways invalid, or none at
 * all.
 */
export const indicesKind = choice('distinct', 'repeated', 'invalid', 'invalid', 'none');

export interface IndicesShape {
  /** Extents before the last one; topk is the last. */
  readonly outer: readonly number[];
  readonly topk: number;
  /** Rows of the cache: indices from here on are invalid. */
  readonly rows: number;
  readonly kind: 'distinct' | 'repeated' | 'invalid' | 'none';
  /** Lengths that may count for a row of indices, in turn; all of `topk` where there are none. */
  readonly lengthsOf: (row: number) => readonly number[];
  /** Where the rows that a row of indices names begin among the flags. Default: one cache for all. */
  readonly place?: (row: number, index: number) => number;
}

/** Draws indices and marks the rows that they name within their lengths. */
export function drawIndices(
  shape: IndicesShape,
  used: Uint8Array,
  random: Random,
): HostTensor<'i32'> {
  const { outer, topk, rows, kind, lengthsOf, place = (_, index) => index } = shape;
  const count = outer.reduce((product, n) => product * n, 1);
  const data = new Int32Array(count * topk);
  for (let row = 0; row < count; row++) {
    const lengths = lengthsOf(row);
    const most = lengths.length === 0 ? topk : Math.max(...lengths.map((n) => counted(n, topk)));
    const order = random.shuffle(Array.from({ length: rows }, (_, i) => i));
    // Now and then whole stretches name nothing, so that a kernel's tile is empty.
    const emptyUntil = kind === 'invalid' && random.chance(0.3) ? random.integer(0, topk) : 0;
    for (let k = 0; k < topk; k++) {
      let index: number | undefined =
        kind === 'repeated' ? order[random.integer(0, Math.min(rows, 3) - 1)] : order[k];
      if (kind === 'none' || k < emptyUntil || (kind === 'invalid' && random.chance(0.3))) {
        index = undefined;
      }
      const isNamed = index !== undefined && rows > 0;
      data[row * topk + k] = isNamed
        ? (index as number)
        : random.pick([...wildNumbers, rows, rows + 1, -1]);
      if (isNamed && k < most) used[place(row, index as number)] = 1;
    }
  }
  return { dtype: 'i32', shape: [...outer, topk], data };
}
