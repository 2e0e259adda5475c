import type { Ops, Value, Var } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';

/**
 * A consumer's share of the attention: half the columns of the output, relative to 2^`runningMax`. The
 * operands are swapped: an accumulator has tokens or output columns for rows, 8 apart in a lane, and
 * query rows for columns, a pair in every 8. Lists count a lane's query rows.
 */
export interface RowState {
  readonly runningMax: readonly Var<'f32'>[];
  /** Of the lane's tokens alone. */
  readonly sum: readonly Var<'f32'>[];
  /** Accumulators of 64 output columns each. */
  readonly outputs: readonly (readonly Var<'f32'>[])[];
}

/** State of a consumer that has `rows` query rows and so many tiles of 64 columns of V. */
export function rowState(k: Ops, rows: 16 | 32, ownValueTiles: number): RowState {
  return {
    runningMax: k.vars('f32', rows / 4),
    sum: k.vars('f32', rows / 4),
    outputs: Array.from({ length: ownValueTiles }, () => k.vars('f32', rows / 2)),
  };
}

export function resetRows({ runningMax, sum, outputs }: RowState): void {
  for (const each of runningMax) each.set(Number.NEGATIVE_INFINITY);
  for (const each of [...sum, ...outputs.flat()]) each.set(0);
}

/** The query row of the CTA that is a lane's row `r`. */
export const queryRow = ({ column }: ConsumerPlace, r: number): Value<'u32'> =>
  column.add((r >> 1) * 8 + (r & 1));

/** The accumulator's registers of a lane's row `r`: of its first token or column and the one 8 later. */
export const registersOf = (r: number): readonly [number, number] => {
  const first = (r >> 1) * 4 + (r & 1);
  return [first, first + 2];
};
