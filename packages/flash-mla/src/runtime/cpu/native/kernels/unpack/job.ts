/**
 * What the machine code that unpacks rows of e4m3 is told. An entry of 64 bytes names a row: its address, then its
 * scales as f32. packages/flash-mla/assembly/attend/unpack.ts writes both.
 */
export const unpackJob = {
  /** One entry more than `count`, which may hold anything. */
  entries: 'u32',
  count: 'u32',
  /** Rows of bf16. */
  target: 'u32',
  targetStride: 'u32',
  /** Scales of a row, and for each so many times 32 values. */
  tiles: 'u32',
  linesOfTile: 'u32',
  /** From a row's begin to its 64 values that are bf16. */
  tail: 'u32',
} as const;

/** Bytes of an entry. */
export const entryBytes = 64;
/** Values at the end of a row that are bf16 already. */
export const tailValues = 64;
