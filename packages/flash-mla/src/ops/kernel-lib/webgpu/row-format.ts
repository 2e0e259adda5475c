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

/** 512 e4m3 with a float32 scale per 128, those 4 scales, 64 bf16: 41 units. */
const v32: RowFormat = {
  name: 'v32',
  parts: [part('e4m3', 512, 0, 0, 128), part('bf16', 64, 512, 33)],
  scales: 'inside',
  scaleWords: 4,
};

/** 448 e4m3 with an e8m0 scale per 64, 64 bf16: 36 units; the scales follow the block's rows. */
const model1: RowFormat = {
  name: 'model1',
  parts: [part('e4m3', 448, 0, 0, 64), part('bf16', 64, 448, 28)],
  scales: 'beside',
  scaleWords: 2,
};

/** 16-byte units of a model1 row; its block's scales begin after as many per row. */
export const model1RowUnits = 36;

export function sparseRows(layout: KvRowLayout, headDimQk: number): RowFormat {
  if (layout === 'v32') return v32;
  return layout === 'model1' ? model1 : plainRows('bf16', headDimQk);
}
