/**
 * What the machine code that turns packed rows back into bf16 is told: addresses in the device's memory, bytes from
 * one row to the next, sizes. packages/flash-mla/assembly/ops/pack-rows.ts writes it.
 */
export const dequantizeJob = {
  /** Packed rows: values of e4m3, and 64 of bf16 that stay what they are. */
  source: 'u32',
  /** Rows of bf16. */
  target: 'u32',
  /** Scales of the first row. */
  scales: 'u32',
  sourceStride: 'u32',
  targetStride: 'u32',
  scalesStride: 'u32',
  /** At least 1. */
  rows: 'u32',
  /** Scales of a row, and for each so many times 32 values. */
  tiles: 'u32',
  linesOfTile: 'u32',
  /** From the begin of a packed row to its values of bf16. */
  tail: 'u32',
  /** 1: scales are e8m0; else f32. */
  isE8m0: 'u32',
} as const;
