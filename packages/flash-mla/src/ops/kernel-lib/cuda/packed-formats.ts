/** A row of e4m3 values with scales, as bytes; what decoding it depends on. */
export interface PackedFormat {
  /** Values: chunks of 16 e4m3, from the first byte of the row. */
  readonly valueChunks: number;
  /** Chunks that share a scale; 0: there are no scales. */
  readonly chunksPerScale: number;
  readonly scaleType: 'f32' | 'e8m0';
  /** Where the scales are: in the row at this byte, or elsewhere. */
  readonly scaleOffset: number | 'apart';
  readonly scaleBytes: 0 | 8 | 16;
  /** bf16 values that follow: chunks of 8, from this byte of the row. */
  readonly ropeChunks: number;
  readonly ropeOffset: number;
}

/** Plain e4m3 rows. */
export const e4m3Format = (columns: number): PackedFormat => ({
  valueChunks: columns / 16,
  chunksPerScale: 0,
  scaleType: 'f32',
  scaleOffset: 'apart',
  scaleBytes: 0,
  ropeChunks: 0,
  ropeOffset: 0,
});

/** 512 e4m3, 4 f32 scales, 64 bf16. */
const v32Format: PackedFormat = {
  valueChunks: 32,
  chunksPerScale: 8,
  scaleType: 'f32',
  scaleOffset: 512,
  scaleBytes: 16,
  ropeChunks: 8,
  ropeOffset: 528,
};

/** 448 e4m3, 64 bf16; 7 e8m0 scales and a spare byte behind the rows of the block. */
const model1Format: PackedFormat = {
  valueChunks: 28,
  chunksPerScale: 4,
  scaleType: 'e8m0',
  scaleOffset: 'apart',
  scaleBytes: 8,
  ropeChunks: 8,
  ropeOffset: 448,
};

export const packedFormats = { v32: v32Format, model1: model1Format } as const;

/** How `threads` threads that share a row divide its chunks: slots of each kind per thread. */
export function packedSlots(format: PackedFormat, threads: number) {
  const values = Math.ceil(format.valueChunks / threads);
  const rope = Math.ceil(format.ropeChunks / threads);
  const scales = format.scaleBytes > 0 ? 1 : 0;
  return { values, rope, scales, all: values + rope + scales };
}
