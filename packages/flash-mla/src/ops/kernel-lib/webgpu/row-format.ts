import { type PackedRowsName, packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { KvRowLayout } from '../row-layout.ts';

/** How the values of a row part are stored. */
export type PartDType = 'bf16' | 'f16' | 'e4m3';

/** A run of columns of one dtype inside a row. */
export interface RowPart {
  readonly dtype: PartDType;
  /** Columns, and 16-byte units that hold them. */
  readonly columns: number;
  readonly units: number;
  /** Columns of one 16-byte unit: 8 or 16. */
  readonly unitColumns: number;
  readonly firstColumn: number;
  readonly firstUnit: number;
  /** Columns that share a scale; absent: none. */
  readonly scaleColumns?: number;
}

/** How the rows of a cache are stored. */
export interface RowFormat {
  readonly name: string;
  readonly parts: readonly RowPart[];
  /**
   * Where the scales of a row are: `inside` a v32 row, 4 float32; `beside` the rows of a model1 block,
   * 8 e8m0 bytes.
   */
  readonly scales?: 'inside' | 'beside';
  /** Words that hold the scales of one row. */
  readonly scaleWords: number;
}

function part(
  dtype: PartDType,
  columns: number,
  firstColumn = 0,
  firstUnit = 0,
  scaleColumns?: number,
): RowPart {
  const unitColumns = dtype === 'e4m3' ? 16 : 8;
  const units = columns / unitColumns;
  const scale = scaleColumns === undefined ? {} : { scaleColumns };
  return { dtype, columns, units, unitColumns, firstColumn, firstUnit, ...scale };
}

/** Rows of one dtype, `columns` wide. */
export function plainRows(dtype: PartDType, columns: number): RowFormat {
  return { name: dtype, parts: [part(dtype, columns)], scaleWords: 0 };
}

/** Packed rows: {@link packedRows} in units of 16 bytes. */
function packedFormat(name: PackedRowsName): RowFormat {
  const rows = packedRows[name];
  const { valueColumns, columnsPerScale, ropeColumns, ropeOffset, scales, scaleBytes } = rows;
  return {
    name,
    parts: [
      part('e4m3', valueColumns, 0, 0, columnsPerScale),
      part('bf16', ropeColumns, valueColumns, ropeOffset / 16),
    ],
    scales: scales === 'in-row' ? 'inside' : 'beside',
    scaleWords: scaleBytes / 4,
  };
}

const packedFormats = { v32: packedFormat('v32'), model1: packedFormat('model1') };

/** 16-byte units of a model1 row; its block's scales begin after as many per row. */
export const model1RowUnits = packedRows.model1.rowStride / 16;

export function sparseRows(layout: KvRowLayout, headDimQk: number): RowFormat {
  return layout === 'bf16' ? plainRows('bf16', headDimQk) : packedFormats[layout];
}
