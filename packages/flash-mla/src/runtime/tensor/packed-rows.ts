/**
 * The packed FP8 rows of a cache: the one description from which the checks, the reference and every kernel
 * derive. A row holds e4m3 values with a scale for some of them each, and bf16 values (rope). Source:
 * FlashMLA's `flash_mla_interface.py` and `tests/quant.py`.
 */
export interface PackedRows extends PackedRowsDeclaration {
  /** Columns of a row once decoded, and so of q: the values, then rope. */
  readonly headDimQk: number;
  /** Byte of the row at which rope begins. */
  readonly ropeOffset: number;
  /** Bytes of a row, without scales that lie elsewhere: from a token to the next where nothing pads them. */
  readonly rowStride: number;
  /** Bytes of a token, scales included. */
  readonly rowBytes: number;
}

interface PackedRowsDeclaration {
  /** Columns that are e4m3, which a row begins with. */
  readonly valueColumns: number;
  readonly columnsPerScale: number;
  readonly scaleType: 'f32' | 'e8m0';
  /** `in-row`: the values' scales follow them. `behind-rows`: all scales of a block follow its last row. */
  readonly scales: 'in-row' | 'behind-rows';
  /** Bytes of a token's scales; what is left of them is 0. */
  readonly scaleBytes: number;
  /** Columns of bf16. */
  readonly ropeColumns: number;
  /** Blocks (and rows that carry their scales) begin at multiples of this many bytes. */
  readonly alignment: number;
  /** New caches pad their blocks to a multiple of this many bytes, as FlashMLA does. */
  readonly blockPadding: number;
}

function packed<const D extends PackedRowsDeclaration>(declared: D): D & PackedRows {
  const { valueColumns, ropeColumns, scales, scaleBytes } = declared;
  const ropeOffset = valueColumns + (scales === 'in-row' ? scaleBytes : 0);
  const rowStride = ropeOffset + 2 * ropeColumns;
  return {
    ...declared,
    headDimQk: valueColumns + ropeColumns,
    ropeOffset,
    rowStride,
    rowBytes: rowStride + (scales === 'in-row' ? 0 : scaleBytes),
  };
}

export const packedRows = {
  v32: packed({
    valueColumns: 512,
    columnsPerScale: 128,
    scaleType: 'f32',
    scales: 'in-row',
    scaleBytes: 16,
    ropeColumns: 64,
    alignment: 16,
    blockPadding: 1,
  }),
  model1: packed({
    valueColumns: 448,
    columnsPerScale: 64,
    scaleType: 'e8m0',
    scales: 'behind-rows',
    scaleBytes: 8,
    ropeColumns: 64,
    alignment: 8,
    blockPadding: 576,
  }),
} as const;

/** The name of a packed row format. */
export type PackedRowsName = keyof typeof packedRows;
