import { choice } from '../../../conformance/property/parameters.ts';
import { wildNumbers } from '../../../conformance/property/wild-numbers.ts';
import type { Random } from '../../../conformance/suite/random.ts';

/** How long requests are: all as long as can be, of every length, or out of range too. */
export const lengthsKind = choice('full', 'ragged', 'ragged', 'wild');

/**
 * Lengths of requests that hold at most `capacity`. Those near multiples of `unit`, where pages or tiles
 * end, are common.
 */
export function drawLengths(
  kind: 'full' | 'ragged' | 'wild',
  count: number,
  { capacity, unit }: { readonly capacity: number; readonly unit: number },
  random: Random,
): Int32Array {
  return Int32Array.from({ length: count }, () => {
    if (kind === 'full') return capacity;
    if (kind === 'wild' && random.chance(0.5)) {
      const above = capacity + random.integer(1, 1 + 20 * capacity);
      return random.pick([...wildNumbers, capacity + 1, capacity + unit, above, above]);
    }
    const end = unit * random.integer(0, Math.ceil(capacity / unit)) + random.pick([-1, 0, 0, 1]);
    return random.pick([
      0,
      1,
      capacity,
      Math.min(capacity, Math.max(0, end)),
      random.integer(0, capacity),
      random.integer(0, capacity),
    ]);
  });
}

/** What a length counts as. */
export function counted(length: number | undefined, capacity: number): number {
  return Math.min(capacity, Math.max(0, length ?? capacity));
}
