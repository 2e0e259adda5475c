import type { MemType, Ops, Pointer, Value } from '@flash-mla/ptx';
import { columnsPerThread, type Presence, presenceOf, type RowLayout } from './columns.ts';

/** Threads of a CTA that maps rows. */
export const mapThreads = 128;

/** CTAs for each row, and rows. */
export function mapGrid(rows: number, columns: number): readonly [number, number, number] {
  return [rows, Math.ceil(columns / (mapThreads * columnsPerThread)), 1];
}

/** Eight columns of a row, those of one thread. */
export interface MappedColumns {
  readonly row: Value<'u32'>;
  readonly column: Value<'u32'>;
  readonly presence: Presence;
}

/** The columns of a thread where what is computed depends on a row and a column only. */
export function mappedColumns(k: Ops, columns: number): MappedColumns {
  const unit = k.mad(k.blockIdx.y, mapThreads, k.threadIdx.x);
  const column = unit.mul(columnsPerThread).named('column');
  return { row: k.blockIdx.x, column, presence: presenceOf(column, columns) };
}

const sizes = { f32: 4, bf16: 2, e4m3: 1 } as const;

/** The pointer to a column of a row, `stride` bytes from the row before. */
export function placeOf<E extends MemType>(
  k: Ops,
  from: Pointer<'global', E>,
  { dtype }: RowLayout,
  stride: Value<'u64'>,
  row: Value<'u32'>,
  column: Value<'u32'>,
): Pointer<'global', E> {
  return from.bytes(k.widen(row).mul(stride)).bytes(k.widen(column).mul(sizes[dtype]));
}
