import type { Ops, Pointer, SharedArray, SharedRow, Value } from '@flash-mla/ptx';
import type { Element } from '../element.ts';

/** A register of a matrix fragment: two neighbours of 16 bits. */
export type Fragment = Value<'bf16x2' | 'f16x2'>;

/** Right operands that came with one load: each of 8 tokens and a step of the depth. */
export type KeyUnit = readonly {
  readonly step: number;
  /** Which 8 of the warp's tokens. */
  readonly tokens: number;
  readonly right: readonly Fragment[];
}[];

/** Right operands that came with one load: each of 16 tokens and 8 columns. */
export type ValueUnit = readonly {
  /** Which of the warp's accumulators. */
  readonly columns: number;
  readonly right: readonly Fragment[];
}[];

/** Columns of a swizzled 128-byte segment. */
const segment = 64;

/**
 * Walks along a swizzled row. Columns that differ by whole segments differ by a constant, so a walk
 * costs one address per column within a segment, however long the row is. `start` is the lane's first
 * column; its bits must not meet those of the columns added to it within a segment.
 */
export class ColumnWalk<E extends Element> {
  readonly #row: SharedRow<E>;
  readonly #start: Value<'u32'>;
  readonly #bases = new Map<number, Pointer<'shared', E>>();

  constructor(row: SharedRow<E>, start: Value<'u32'>) {
    this.#row = row;
    this.#start = start;
  }

  at(column: number): Pointer<'shared', E> {
    const within = column % segment;
    let base = this.#bases.get(within);
    if (base === undefined) {
      base = this.#row.at(this.#start.add(within));
      this.#bases.set(within, base);
    }
    return base.at(column - within);
  }
}

/** Bytes between rows of a field. */
export const rowBytes = (array: SharedArray<Element>): number => array.placed.strides.at(-1) ?? 0;

/**
 * Left operands (16 rows × depth 16). `row` is the lane's row, lane mod 16 rows into the fragment;
 * `start` a column to begin at. Lanes 0 to 15 point at the left half of the rows, 16 to 31 at the right.
 */
export function leftFragments<E extends Element>(
  k: Ops,
  row: SharedRow<E>,
  start?: Value<'u32'>,
): ColumnWalk<E> {
  const half = k.laneId.shr(4).shl(3);
  return new ColumnWalk(row, start === undefined ? half : half.add(start));
}

/**
 * Right operands (depth 16 × 16 columns) of rows that hold the depth. `row` gives the row that becomes
 * a column, 0 to 15; `start` is a column to begin at.
 */
export function rightFragments<E extends Element>(
  k: Ops,
  row: (column: Value<'u32'>) => SharedRow<E>,
  start?: Value<'u32'>,
): ColumnWalk<E> {
  const lane = k.laneId;
  const half = lane.shr(3).and(1).shl(3);
  const column = k.mad(lane.shr(4), 8, lane.and(7));
  return new ColumnWalk(row(column), start === undefined ? half : half.add(start));
}
