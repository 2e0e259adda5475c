/**
 * What the machine code that norms a row is told: addresses in the device's memory, sizes.
 * packages/flash-mla/assembly/norm/native.ts writes it.
 */
export const normJob = {
  /** Elements. */
  x: 'u32',
  /** Elements that are added to them, and become what is normed; 0: none. */
  residual: 'u32',
  /** f32: what each element of the result is multiplied with. */
  gains: 'u32',
  /** Room for as many numbers of f32. */
  row: 'u32',
  /** Elements; may be the room for the row, if they are f32. */
  out: 'u32',
  /** 1: these are bf16, else f32. */
  xIsBf16: 'u32',
  residualIsBf16: 'u32',
  outIsBf16: 'u32',
  /** A multiple of 32. */
  columns: 'u32',
  eps: 'f32',
} as const;

/** The unit of the columns. */
export const columnStep = 32;
