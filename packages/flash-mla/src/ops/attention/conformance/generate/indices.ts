import type { Random } from '../../../conformance/suite/random.ts';

/** How {@link drawIndices} fills one row of indices. */
export interface IndexRow {
  /** The slots that may be named, in the order of tokens. */
  readonly slots: Int32Array;
  readonly topk: number;
  /** Slots of the whole cache; numbers from here on are invalid. */
  readonly capacity: number;
  readonly invalid: boolean;
  readonly repeated: boolean;
}

/**
 * One row of indices: distinct slots in random order (or with repetitions), and where there are too
 * few of them invalid numbers of every kind, among the others or behind them.
 */
export function drawIndices(
  { slots, topk, capacity, invalid, repeated }: IndexRow,
  random: Random,
): Int32Array {
  const row = new Int32Array(topk);
  const count = invalid ? 0 : Math.min(topk, slots.length);
  const chosen = random.shuffle(slots.slice(), count);
  for (let i = 0; i < topk; i++) {
    if (i >= count) row[i] = random.pick(invalidIndices(capacity));
    else row[i] = (repeated ? random.pick([chosen[0], chosen[i]]) : chosen[i]) as number;
  }
  return count < topk && random.chance(0.5) ? random.shuffle(row) : row;
}

function invalidIndices(capacity: number): number[] {
  return [-1, -123456, -(2 ** 31), capacity, capacity + 1, 2147480000, 2 ** 31 - 1];
}
