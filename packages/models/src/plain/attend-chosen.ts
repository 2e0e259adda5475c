import { type Sequence, slotOf } from '../layers/batch.ts';
import type { AttentionCall } from '../layers/operations.ts';
import { attendAbsorbed } from './attend-absorbed.ts';
import { matrix, type PlainMatrix } from './matrix.ts';

/**
 * Attention to the tokens that an indexer chose: their rows of the cache are put one after the other, and
 * attended to as if they were all there are.
 */
export function attendChosen(
  call: AttentionCall<PlainMatrix>,
  { pages, row: firstRow, count }: Sequence,
  pageSize: number,
): void {
  const { cache, chosen } = call;
  if (chosen === undefined) throw new Error('nothing was chosen');
  for (let row = firstRow; row < firstRow + count; row++) {
    const all = chosen.data.subarray(row * chosen.columns, (row + 1) * chosen.columns);
    const positions = all.filter((position) => position >= 0);
    const own = matrix(Math.ceil(positions.length / pageSize) * pageSize, cache.columns);
    for (const [i, position] of positions.entries()) {
      const at = slotOf(pages, position, pageSize) * cache.columns;
      own.data.set(cache.data.subarray(at, at + cache.columns), i * cache.columns);
    }
    const ownPages = Array.from({ length: own.rows / pageSize }, (_, i) => i);
    // The newest of them sees them all.
    const one = { pages: ownPages, start: positions.length - 1, count: 1, row };
    attendAbsorbed({ ...call, cache: own }, one, pageSize);
  }
}
