import { type PackedRowsName, packedRows } from '../../../runtime/tensor/packed-rows.ts';

/** A row of e4m3 values with scales, as bytes; what decoding it depends on. */
export interface PackedFormat {
  /** Values: chunks of 16 e4m3, from the first byte of the row. */
  readonly valueChunks: number;
  /** Chunks that share a scale; 0: there are no scales. */
  readonly chunksPerScale: number;
  readonly scaleType: 'f32' | 'e8m0';
  /** Where the scales are: in the row at this byte, or elsewhere. */
  readonly scaleOffset: number | 'apart';
  readonly scaleBytes: number;
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

/** Packed rows: {@link packedRows} in chunks. */
function packedFormat(name: PackedRowsName): PackedFormat {
  const rows = packedRows[name];
  return {
    valueChunks: rows.valueColumns / 16,
    chunksPerScale: rows.columnsPerScale / 16,
    scaleType: rows.scaleType,
    scaleOffset: rows.scales === 'in-row' ? rows.valueColumns : 'apart',
    scaleBytes: rows.scaleBytes,
    ropeChunks: rows.ropeColumns / 8,
    ropeOffset: rows.ropeOffset,
  };
}

export const packedFormats = {
  v32: packedFormat('v32'),
  model1: packedFormat('model1'),
} as const;

/** How `threads` threads that share a row divide its chunks: slots of each kind per thread. */
export function packedSlots(format: PackedFormat, threads: number) {
  const values = Math.ceil(format.valueChunks / threads);
  const rope = Math.ceil(format.ropeChunks / threads);
  const scales = format.scaleBytes > 0 ? 1 : 0;
  return { values, rope, scales, all: values + rope + scales };
}
