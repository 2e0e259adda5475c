import { type Ops, segmentMax, type Value, type Var } from '@flash-mla/ptx';

/**
 * A warp group's accumulator of 64 rows: a lane holds two rows of it, 8 apart, and four registers for
 * every 8 columns, a pair of columns of the first row and the same pair of the second.
 */
export type RegisterTile = readonly Var<'f32'>[];

/** The two rows of a lane. */
export const laneRows = [0, 1] as const;
export type LaneRow = (typeof laneRows)[number];

/** How far apart they are in the tile. */
export const laneRowDistance = 8;

/** Lanes that share a row. */
export const rowLanes = 4;

/** Which of the lane's rows a register belongs to. */
export const rowOf = (register: number): LaneRow => ((register >> 1) & 1) as LaneRow;

/** The registers of one row, in the order of columns. */
export function registersOfRow<T>(tile: readonly T[], row: LaneRow): T[] {
  return tile.filter((_, register) => rowOf(register) === row);
}

/** The largest of a lane's values and those of the lanes that share its row. */
export function rowMax(k: Ops, values: readonly Value<'f32'>[]): Value<'f32'> {
  return segmentMax(
    k,
    values.reduce((a, b) => a.max(b)),
    rowLanes,
  );
}

/**
 * Multiplies each row by its factor; nothing where all factors of the warp are 1, which is often so. `when` is the
 * same in all lanes and true wherever one is not.
 */
export function scaleRows(
  k: Ops,
  tile: RegisterTile,
  factors: readonly Value<'f32'>[],
  when = k.any(factors[0].ne(1).or(factors[1].ne(1))),
): void {
  k.if(
    when,
    () => {
      tile.forEach((register, i) => {
        register.set(register.mul(factors[rowOf(i)]));
      });
    },
    { uniform: true },
  );
}
