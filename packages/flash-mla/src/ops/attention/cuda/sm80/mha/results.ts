import { type Ops, type Pointer, packPair, type Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { RowState } from '../mla/softmax.ts';
import type { Accumulators } from './scores.ts';
import { rowSums } from './softmax.ts';
import { type MhaTile, mhaShape } from './tile.ts';
import { scaleOutputs } from './values.ts';

/** The lane's rows of the CTA: [row tile][2]. */
export function laneRows(k: Ops, tile: MhaTile): Value<'u32'>[][] {
  const first = k.mad(k.warpId, mhaShape(tile).rowsPerWarp, k.laneId.shr(2)).named('row');
  return Array.from({ length: tile.rowTiles }, (_, m) => [0, 8].map((r) => first.add(16 * m + r)));
}

/** Where a CTA's results go. */
export interface ResultRows {
  /** Rows that exist. */
  readonly count: Value<'u32'>;
  /** First column of a row's output, and its log-sum-exp. */
  out(row: Value<'u32'>): Pointer<'global', Element>;
  lse(row: Value<'u32'>): Pointer<'global', 'f32'>;
}

/** Divides the outputs by the rows' sums and writes both results. */
export function writeResults(
  k: Ops,
  tile: MhaTile,
  states: readonly RowState[],
  outputs: Accumulators,
  results: ResultRows,
): void {
  const sums = rowSums(k, states);
  // Rows that see nothing have the sum 0: their output is 0.
  const inverse = sums.map((pair) => pair.map((s) => k.select<'f32'>(s.eq(0), 0, k.rcp(s))));
  scaleOutputs(outputs, inverse);
  const column = k.laneId.and(3).shl(1);
  laneRows(k, tile).forEach((rows, m) => {
    rows.forEach((row, r) => {
      k.if(row.lt(results.count), () => {
        const out = results.out(row).at(column).as('b32');
        for (let j = 0; 8 * j < tile.headDimV; j++) {
          const [lo, hi] = [outputs[m][j][2 * r], outputs[m][j][2 * r + 1]];
          out.bytes(16 * j).store(packPair(k, tile.element, lo, hi).as('b32'));
        }
        k.if(column.eq(0), () => {
          const lse = states[m].runningMax[r].add(k.lg2(sums[m][r])).mul(Math.LN2);
          const isEmpty = sums[m][r].eq(0);
          results.lse(row).store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, lse));
        });
      });
    });
  });
}
