/**
 * What the machine code that multiplies rows with weights of e4m3 is told: addresses in the device's memory, bytes
 * from one row to the next, sizes. packages/flash-mla/assembly/gemm/scaled.ts writes it.
 */
export const scaledDotsJob = {
  /** Rows of e4m3, in the device's memory or elsewhere in the process. */
  weights: 'i64',
  /** f32, one for each 128 elements of these rows: they share them. In the device's memory or elsewhere. */
  scales: 'i64',
  /** Rows of f32. */
  x: 'u32',
  /** Rows of f32: a sum for each row of x and of weights. */
  sums: 'u32',
  xStride: 'u32',
  weightStride: 'u32',
  sumsStride: 'u32',
  rows: 'u32',
  columns: 'u32',
  /** Elements of a row: a multiple of 32. */
  depth: 'u32',
} as const;

/** Elements that share a scale. */
export const scaleElements = 128;
/** The unit of the depth. */
export const depthStep = 32;
