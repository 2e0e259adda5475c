/** Sizes of the rows of packed FP8 caches, `v32` and `model1`, for validation and allocation. */
export interface PackedRows {
  /** Columns of a row once decoded, and so of q. */
  readonly headDimQk: number;
  /** Bytes of a token, scales included. */
  readonly rowBytes: number;
  /** Blocks (and `v32` rows) begin at multiples of this many bytes. */
  readonly alignment: number;
  /** New caches pad their blocks to a multiple of this many bytes, as FlashMLA does. */
  readonly blockPadding: number;
}

export const packedRows = {
  v32: { headDimQk: 576, rowBytes: 656, alignment: 16, blockPadding: 1 },
  model1: { headDimQk: 512, rowBytes: 584, alignment: 8, blockPadding: 576 },
} as const satisfies Record<string, PackedRows>;
