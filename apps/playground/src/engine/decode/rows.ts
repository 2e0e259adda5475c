/** The cache on the device, one way of storing rows per layout, and the random rows that fill it. */

import { type Device, dtypeSize, quantizeKvCache, type Tensor } from 'flash-mla';
import { normals } from './random.ts';
import { headDimQk, type LoopSettings, rowBytes } from './settings.ts';

/** Random rows that everything is filled from; drawing each token afresh would take minutes. */
const poolRows = 512;

/** A paged cache full of random rows. */
export interface Rows {
  /** (blocks, page, 1, columns or bytes of a row). */
  readonly kCache: Tensor;
  /** Overwrites the row of one token by row `source` of the pool. */
  write(block: number, offset: number, source: number): void;
  /** The bytes of a block, one row after the other and without padding. */
  readBlock(block: number): Promise<Uint8Array>;
  dispose(): void;
}

/** Allocates and fills. Throws {@link OutOfMemoryError}. */
export async function createRows(
  device: Device,
  { layout, page }: LoopSettings,
  blocks: number,
  next: () => number,
): Promise<Rows> {
  const bytes = rowBytes[layout];
  const pool = await drawPool(device, layout, next);
  const rowOf = (source: number) => {
    const begin = (source % poolRows) * bytes;
    return pool.subarray(begin, begin + bytes);
  };
  // Of a model1 block, all values come first, all scales behind them, and it is padded as FlashMLA does.
  const values = layout === 'model1' ? 576 : bytes;
  const padding = layout === 'model1' ? 576 : 1;
  const blockBytes = Math.ceil((page * bytes) / padding) * padding;
  const partsOf = (row: Uint8Array, offset: number) =>
    [
      [offset * values, row.subarray(0, values)],
      [page * values + offset * (bytes - values), row.subarray(values)],
    ] as const;

  const dtype = layout === 'bf16' ? 'bf16' : 'u8';
  const size = dtypeSize(dtype);
  const flat = device.empty([(blocks * blockBytes) / size], dtype);
  const span = (begin: number, length: number) =>
    flat.slice(0, begin / size, (begin + length) / size);
  const block = new Uint8Array(blockBytes);
  for (let b = 0; b < blocks; b++) {
    const first = Math.floor(next() * poolRows);
    for (let offset = 0; offset < page; offset++) {
      for (const [at, part] of partsOf(rowOf(first + offset), offset)) block.set(part, at);
    }
    span(b * blockBytes, blockBytes).write(block);
  }
  const columns = bytes / size;
  return {
    kCache: flat.asStrided([blocks, page, 1, columns], [blockBytes / size, columns, columns, 1]),
    write(b, offset, source) {
      for (const [at, part] of partsOf(rowOf(source), offset)) {
        if (part.length > 0) span(b * blockBytes + at, part.length).write(part);
      }
    },
    async readBlock(b) {
      return bytesOf(await span(b * blockBytes, page * bytes).read());
    },
    dispose: () => flat.dispose(),
  };
}

/** Rows of standard normals in a layout: the device itself encodes or quantises them. */
async function drawPool(
  device: Device,
  layout: LoopSettings['layout'],
  next: () => number,
): Promise<Uint8Array> {
  const columns = headDimQk[layout];
  const floats = normals(poolRows * columns, next);
  const rows = device.tensor(floats, [poolRows, 1, 1, columns], 'bf16');
  try {
    if (layout === 'bf16') return bytesOf(await rows.read());
    const packed = quantizeKvCache({ kCache: rows, layout });
    try {
      return bytesOf(await packed.read());
    } finally {
      packed.dispose();
    }
  } finally {
    rows.dispose();
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
