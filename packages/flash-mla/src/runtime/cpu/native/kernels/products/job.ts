/**
 * What the machine code that multiplies rows of bf16 with weights of bf16 is told: addresses in the device's
 * memory, bytes from one row to the next, sizes. packages/flash-mla/assembly/gemm/native.ts writes it.
 */
export const productsJob = {
  /** Rows of bf16, in the device's memory or elsewhere in the process. */
  weights: 'i64',
  /** Rows of bf16. */
  x: 'u32',
  /** Rows of f32: a sum for each row of x and of weights. There is room for rows up to a multiple of 16. */
  sums: 'u32',
  /** Room for rows of x up to a multiple of 16, as the tiles take them. */
  panels: 'u32',
  xStride: 'u32',
  weightStride: 'u32',
  sumsStride: 'u32',
  rows: 'u32',
  /** Rows of weights: at least 16. */
  columns: 'u32',
  /** Elements of a row: a multiple of 32. */
  depth: 'u32',
  /** 0: the panels hold these rows already. */
  pack: 'u32',
} as const;
