/**
 * What the machine code that attends to bf16 tokens in place is told: addresses in the device's memory, bytes
 * from one thing to the next, sizes. packages/flash-mla/assembly/attend/in-place.ts writes it; the tile is
 * described in tile.ts there.
 */
export const rowsJob = {
  /** Pairs of neighbours along the head dimension, in panels of 16 query rows. */
  queries: 'u32',
  /** Addresses of the tokens; the last one again up to a multiple of 32. */
  rowList: 'u32',
  valuePairs: 'u32',
  scores: 'u32',
  outputs: 'u32',
  maximum: 'u32',
  sum: 'u32',
  decay: 'u32',
  limits: 'u32',
  /** Bytes of the pairs of 16 columns. */
  valueStride: 'u32',
  outputStride: 'u32',
  /** Bytes of the scores of 16 rows. */
  scoreStride: 'u32',
  headDimQk: 'u32',
  colTiles: 'u32',
  rows: 'u32',
  tokens: 'u32',
  masked: 'u32',
  position: 'i32',
  /** From a raw logit to base 2. */
  scale: 'f32',
  /** Set to 1 where a mask would have to hide an infinity or NaN: nothing else is changed then. */
  status: 'u32',
  /** Room for copies of the tokens, one behind the other. */
  staging: 'u32',
  /**
   * 1: outputs of 32 columns lie as 16 even ones and 16 odd ones. With at most 16 query rows only, and with AMX:
   * see one-panel.ts.
   */
  columnPairs: 'u32',
  /** Where the tokens behind the last one begin, to be asked for ahead of time; 0 where that is not known. */
  next: 'u32',
} as const;
