import { type MatrixDescriptor, type MemType, type Ops, Pointer, type Value } from '@flash-mla/ptx';

/**
 * Shared memory as `wgmma` reads it: tiles whose rows are 128 bytes, in which the 16-byte chunks of row r
 * stand in the order XOR r mod 8. A wider matrix is tiles side by side, each with all of its rows.
 */
export const tileRowBytes = 128;
const chunkBytes = 16;
/** Chunks of a row, and rows after which the order repeats. */
const chunks = tileRowBytes / chunkBytes;

/** Columns of a tile. */
export const tileColumnsOf = (elementBytes: 1 | 2): number => tileRowBytes / elementBytes;
/** Bytes of a tile of so many rows. */
export const tileBytesOf = (rows: number): number => rows * tileRowBytes;

/** Bytes from the start of a tile to a chunk of a row. */
export function chunkOffset(row: Value<'u32'>, chunk: Value<'u32'>): Value<'u32'> {
  return row
    .shl(Math.log2(tileRowBytes))
    .add(chunk.xor(row.and(chunks - 1)).shl(Math.log2(chunkBytes)));
}

/**
 * The matrix whose depth is the rows of tiles from `start` on (MN-major): for starts that only the running
 * kernel knows, which `mnMajor` of a shared array does not take. `rows`: of the tiles.
 */
export function mnMajorFrom(
  k: Ops,
  start: Pointer<'shared', MemType>,
  rows: number,
): MatrixDescriptor {
  const leading = tileBytesOf(rows);
  return k.matrixDescriptor(start, { swizzle: '128B', stride: chunks * tileRowBytes, leading });
}

/**
 * Where `ldmatrix` and `stmatrix` find this lane's row of the 8×8 blocks of a tile's rows from `firstRow`
 * on, in steps of 16 columns of 16 bits.
 */
export function fragmentRows<E extends MemType>(
  tile: Pointer<'shared', E>,
  lane: Value<'u32'>,
  firstRow: Value<'u32'>,
): Pointer<'shared', E>[] {
  const row = firstRow.add(lane.and(15));
  const chunk = lane
    .shr(4)
    .xor(row.and(chunks - 1))
    .shl(Math.log2(chunkBytes));
  const start = tile.bytes(row.shl(Math.log2(tileRowBytes)).add(chunk)).folded();
  const stepBytes = 2 * chunkBytes;
  return Array.from({ length: tileRowBytes / stepBytes }, (_, step) =>
    step === 0 ? start : new Pointer('shared', start.element, start.base.xor(step * stepBytes)),
  );
}
