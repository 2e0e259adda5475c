/**
 * What the machine code that attends to a block is told: addresses in the device's memory, bytes from one
 * thing to the next, sizes. packages/flash-mla/assembly/attend/native.ts writes it; the tile is described in
 * tile.ts there.
 */
export const attendJob = {
  queries: 'u32',
  keys: 'u32',
  values: 'u32',
  scores: 'u32',
  outputs: 'u32',
  maximum: 'u32',
  sum: 'u32',
  decay: 'u32',
  limits: 'u32',
  keyStride: 'u32',
  valueStride: 'u32',
  outputStride: 'u32',
  /** Bytes of the scores of 16 rows. */
  scoreStride: 'u32',
  headDimQk: 'u32',
  colTiles: 'u32',
  rows: 'u32',
  tokens: 'u32',
  /** 1: a row sees token t of the block only where its limit is above `position` + t. */
  masked: 'u32',
  position: 'i32',
} as const;
