import type { Ops, Pointer, SharedRow, Value } from '@flash-mla/ptx';
import { type Alignment, copyRow, copyRowFromE4m3, segmentChunks } from './copy.ts';
import { ctaThreads, type Element, type MlaTile, tileShape } from './tile.ts';

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

/** Starts copying the query rows to shared memory, `to` being where a row goes. */
export function fetchQuery(
  k: Ops,
  tile: MlaTile,
  rows: QueryRows,
  to: (row: Value<'u32'>) => SharedRow<Element>,
): void {
  const { width } = tileShape(tile);
  const chunk = k.threadIdx.x.and(segmentChunks - 1);
  const rowsAtOnce = ctaThreads / segmentChunks;
  const copy = (row: Value<'u32'>) => {
    const present = row.lt(rows.count);
    const common = { chunk, columns: tile.headDimQk, width, alignment: rows.alignment, present };
    const from = rows.pointer(k.select(present, row, 0));
    if (rows.stored === 'e4m3')
      copyRowFromE4m3(k, { to: to(row), from: from.as('e4m3'), ...common });
    else copyRow(k, { to: to(row), from: from.as(rows.stored), ...common });
  };
  const first = k.threadIdx.x.shr(Math.log2(segmentChunks));
  for (let row = 0; row < tile.rows; row += rowsAtOnce) {
    if (row + rowsAtOnce <= tile.rows) copy(first.add(row));
    else k.if(first.add(row).lt(tile.rows), () => copy(first.add(row)), { uniform: true });
  }
}
