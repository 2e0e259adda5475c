import type { Ops } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { tileColumns } from '../dense/tile.ts';
import { type RowState, registersOf } from '../swap-ab/row-state.ts';
import { columnOffsets } from './consume.ts';
import type { KeyParts } from './tile.ts';

/**
 * Brings pairs of neighbouring columns together: a lane has two columns of each accumulator, 8 apart,
 * and the lane 4 further the columns behind them. Says which it has then.
 */
export function pairColumns(
  k: Ops,
  place: ConsumerPlace,
  parts: KeyParts,
  { outputs, sum }: RowState,
) {
  const { consumer, thread, lane } = place;
  const isOdd = lane.and(4).ne(0);
  for (const columns of outputs) {
    sum.forEach((_, r) => {
      const [near, far] = registersOf(r).map((i) => columns[i]);
      const other = k.shuffleXor(k.select<'f32'>(isOdd, near, far), 4);
      const [first, second] = [k.select(isOdd, other, near), k.select(isOdd, far, other)];
      near.set(first);
      far.set(second);
    });
  }
  const ofWarp = k.mad(consumer, parts.ownTiles * tileColumns, thread.shr(5).shl(4));
  const ofLane = lane
    .shr(3)
    .shl(1)
    .add(k.select(isOdd, 8, 0, 'u32'));
  return { first: ofWarp.add(ofLane), offsets: columnOffsets(parts) };
}
