import { defineConstants } from '../../../runtime/cpu/commands/schema.ts';
import type { KvRowLayout } from '../row-layout.ts';

/** Row formats of a cache, as commands name them. */
export const rowLayouts = defineConstants('i32', { V32: 0, MODEL1: 1, BF16_ROWS: 2 });

const { V32: v32, MODEL1: model1, BF16_ROWS: bf16 } = rowLayouts.values;

/** How the kernels name a row format; rows without one are copied as they are. */
export const layoutCode: Readonly<Record<KvRowLayout | 'plain', number>> = {
  v32,
  model1,
  bf16,
  plain: bf16,
};
