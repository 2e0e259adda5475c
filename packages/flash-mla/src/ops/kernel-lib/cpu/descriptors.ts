import { defineConstants } from '../../../runtime/cpu/commands/schema.ts';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { KvRowLayout } from '../row-layout.ts';

/** Row formats of a cache, as commands name them. */
export const rowLayouts = defineConstants('i32', { V32: 0, MODEL1: 1, BF16_ROWS: 2 });

const { v32: rowsOfV32, model1: rowsOfModel1 } = packedRows;

/** Packed rows, in columns and bytes. */
export const rowSizes = defineConstants('usize', {
  V32_VALUE_COLUMNS: rowsOfV32.valueColumns,
  V32_COLUMNS_PER_SCALE: rowsOfV32.columnsPerScale,
  V32_ROPE_COLUMNS: rowsOfV32.ropeColumns,
  V32_ROPE_OFFSET: rowsOfV32.ropeOffset,
  V32_DIMS: rowsOfV32.headDimQk,
  MODEL1_VALUE_COLUMNS: rowsOfModel1.valueColumns,
  MODEL1_COLUMNS_PER_SCALE: rowsOfModel1.columnsPerScale,
  MODEL1_ROPE_COLUMNS: rowsOfModel1.ropeColumns,
  MODEL1_ROPE_OFFSET: rowsOfModel1.ropeOffset,
  MODEL1_ROW_STRIDE: rowsOfModel1.rowStride,
  MODEL1_SCALE_BYTES: rowsOfModel1.scaleBytes,
  MODEL1_DIMS: rowsOfModel1.headDimQk,
});

const { V32: v32, MODEL1: model1, BF16_ROWS: bf16 } = rowLayouts.values;

/** How the kernels name a row format; rows without one are copied as they are. */
export const layoutCode: Readonly<Record<KvRowLayout | 'plain', number>> = {
  v32,
  model1,
  bf16,
  plain: bf16,
};
