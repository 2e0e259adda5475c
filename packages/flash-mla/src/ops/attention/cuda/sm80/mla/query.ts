import type { Ops, Pointer, SharedRow, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import {
  type Alignment,
  copyRow,
  copyRowFromE4m3,
  segmentChunks,
} from '../../../../kernel-lib/cuda/sm80/copy.ts';
import { drain } from '../../../../kernel-lib/cuda/sm80/steps.ts';
import type { WarpPlace } from './place.ts';
import { copyRawRow, rowShare } from './raw-rows.ts';
import type { MlaShared } from './shared.ts';
import { ctaThreads, type MlaTile, tileShape } from './tile.ts';

/** Where a CTA's query rows are. */
export interface QueryRows {
  /** Type in memory; e4m3 is multiplied as f16. */
  readonly stored: Element | 'e4m3';
  readonly alignment: Alignment;
  /** Rows that exist; the CTA's others are zeros. */
  readonly count: Value<'u32'>;
  /** First element of a row of the CTA. */
  pointer(row: Value<'u32'>): Pointer<'global', Element | 'e4m3'>;
}

/**
 * Starts copying the query rows to shared memory: the columns that stay there to `query`, the others,
 * on their way to registers, to `transit`.
 */
export function fetchQuery(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  rows: QueryRows,
  transit: number,
): void {
  if (tile.rawKeys) {
    fetchRawQuery(k, tile, shared, place, rows, transit);
    return;
  }
  const { queryWidth } = tileShape(tile);
  const { headDimQk: columns } = tile;
  const chunk = k.threadIdx.x.and(segmentChunks - 1);
  const rowsAtOnce = ctaThreads / segmentChunks;
  const copy = (row: Value<'u32'>) => {
    const present = row.lt(rows.count);
    const from = rows.pointer(k.select(present, row, 0));
    const copyColumns = (to: () => SharedRow<Element>, begin: number, end: number) => {
      if (begin >= end) return;
      const common = { chunk, begin, end, columns, alignment: rows.alignment, present, to: to() };
      if (rows.stored === 'e4m3') copyRowFromE4m3(k, { ...common, from: from.as('e4m3') });
      else copyRow(k, { ...common, from: from.as(rows.stored) });
    };
    copyColumns(() => shared.query.row(row), 0, queryWidth);
    copyColumns(() => shared.keys.row(transit, row), queryWidth, columns);
  };
  const first = k.threadIdx.x.shr(Math.log2(segmentChunks));
  for (let row = 0; row < tile.rows; row += rowsAtOnce) {
    if (row + rowsAtOnce <= tile.rows) copy(first.add(row));
    else k.if(first.add(row).lt(tile.rows), () => copy(first.add(row)), { uniform: true });
  }
}

/** Query rows as they are, all of them to `transit`. */
function fetchRawQuery(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  rows: QueryRows,
  transit: number,
): void {
  const { headDimQk: columns } = tile;
  const share = rowShare(place, tile.rows);
  const present = share.row.lt(rows.count);
  const from = rows.pointer(k.select(present, share.row, 0)).as('e4m3');
  const to = shared.rawKeys.row(transit, share.row);
  const { alignment } = rows;
  drain(copyRawRow(k, { to, from, share, width: columns, columns, alignment, present }));
}
