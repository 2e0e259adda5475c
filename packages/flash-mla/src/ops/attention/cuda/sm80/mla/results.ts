import { type Ops, type Pointer, packPair, type Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { WarpPlace } from './place.ts';
import type { MlaShared } from './shared.ts';
import { type RowState, rowSums } from './softmax.ts';
import { ctaWarps, type MlaTile, tileShape } from './tile.ts';
import { columnsAtOnce, type Outputs, outputRuns, pair, scaleOutputs } from './values.ts';

/** A finished row, in the lanes of one warp that hold it. */
export interface FinishedRow {
  /** Row of the CTA. */
  readonly row: Value<'u32'>;
  /** Which of the lane's two rows. */
  readonly r: number;
  /** Base-2 log of the sum of exponentials; −inf for rows that attend to nothing. */
  readonly lse2: Value<'f32'>;
  /** Whether the row attends to nothing: its output is 0. */
  readonly isEmpty: Value<'pred'>;
}

/**
 * Divides the outputs by the rows' sums. `finish` is called twice, by the lanes that answer for a row
 * (once each of their two rows): it writes the row's statistics and returns a factor for its output.
 */
export function normalizeOutputs(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  state: RowState,
  outputs: Outputs,
  finish: (row: FinishedRow) => Value<'f32'>,
): void {
  const sums = rowSums(k, shared, place, state);
  k.if(place.group.eq(0).and(place.lane.and(3).eq(0)), () => {
    sums.forEach((sum, r) => {
      const row = place.row.add(8 * r);
      const isEmpty = sum.eq(0);
      const lse2 = state.runningMax[r].add(k.lg2(sum));
      const factor = finish({ row, r, isEmpty, lse2 });
      shared.rowScale.at(row).store(k.select<'f32'>(isEmpty, 0, k.rcp(sum).mul(factor)));
    });
  });
  k.barrier();
  scaleOutputs(tile, shared, place, outputs);
}

/** Where the outputs of a CTA go. */
export interface OutputRows<E extends Element | 'f32'> {
  readonly element: E;
  /** Rows that exist. */
  readonly count: Value<'u32'>;
  /** First column of a row of the CTA. */
  pointer(row: Value<'u32'>): Pointer<'global', E>;
}

/** Stores the outputs, as many neighbouring columns at a time as a lane holds. */
export function writeOutputs<E extends Element | 'f32'>(
  k: Ops,
  tile: MlaTile,
  place: WarpPlace,
  outputs: Outputs,
  rows: OutputRows<E>,
): void {
  const { columnsPerWarp } = tileShape(tile);
  const padded = columnsPerWarp * ctaWarps > tile.headDimV;
  const column = k.mad(place.warp, columnsPerWarp, place.lane.and(3).mul(columnsAtOnce(tile)));
  outputs.forEach((tileOutputs, t) => {
    for (const r of pair) {
      const row = place.lane.shr(2).add(16 * t + 8 * r);
      k.if(row.lt(rows.count), () => {
        const out = rows.pointer(row).at(column);
        for (const { first, values } of outputRuns(tile, tileOutputs, r)) {
          const store = () => storeRun(k, rows.element, out.at(first), values);
          if (padded) k.if(column.lt(tile.headDimV - first), store);
          else store();
        }
      });
    }
  });
}

function storeRun(
  k: Ops,
  element: Element | 'f32',
  to: Pointer<'global', Element | 'f32'>,
  values: readonly Value<'f32'>[],
): void {
  if (element === 'f32') {
    to.as('f32').storeVec(values);
    return;
  }
  const words: Value<'b32'>[] = [];
  for (let i = 0; i < values.length; i += 2) {
    words.push(packPair(k, element, values[i], values[i + 1]).as('b32'));
  }
  to.as('b32').storeVec(words);
}
