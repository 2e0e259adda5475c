/**
 * What the machine code that multiplies rows is told: addresses in the device's memory, bytes from one row to
 * the next, sizes. packages/flash-mla/assembly/gemm/native.ts writes it.
 */
export const dotsJob = {
  /** Rows of bf16 or f32, in the device's memory or elsewhere in the process. */
  weights: 'i64',
  /** Rows of f32. */
  x: 'u32',
  /** Rows of f32: a sum for each row of x and of weights. */
  sums: 'u32',
  xStride: 'u32',
  weightStride: 'u32',
  sumsStride: 'u32',
  rows: 'u32',
  columns: 'u32',
  /** Elements of a row: a multiple of 16. */
  depth: 'u32',
  /** 1: weights are bf16. */
  isBf16: 'u32',
} as const;
