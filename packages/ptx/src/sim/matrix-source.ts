import type { Site } from './machine.ts';
import type { SimWarp } from './warp.ts';

/** Which part of a matrix in shared memory is meant. */
export interface MatrixPart {
  /** First of the matrix's rows (of A) or columns (of B), and how many. */
  readonly first: number;
  readonly lines: number;
  /** Bytes of a line: the depth. */
  readonly depth: number;
  readonly bytesPerElement: 1 | 2;
  /** The rows of shared memory run along the depth. */
  readonly transposed: boolean;
}

/** Reads a descriptor's register, which holds the same in all lanes. */
export function readDescriptor(w: SimWarp, site: Site, register: number): [number, number] {
  const low = w.I[register];
  const high = w.I[register + 32];
  for (let lane = 1; lane < 32; lane++) {
    if (w.I[register + lane] !== low || w.I[register + 32 + lane] !== high) {
      w.fault('divergence', site, 'the lanes of a warp name different matrices', lane);
    }
  }
  return [low, high];
}

/**
 * The words at which the 16-byte chunks of a part of a matrix begin, as the tensor cores address them:
 * the swizzle permutes chunks by bits of the physical address. K-major: line by line; else step by
 * step of the depth.
 */
export function chunksOf(
  w: SimWarp,
  site: Site,
  low: number,
  high: number,
  { first, lines, depth, bytesPerElement, transposed }: MatrixPart,
): Int32Array {
  const code = high >>> 30;
  if (code === 0) {
    w.fault('misaligned', site, 'a matrix without a swizzle, which is not simulated');
  }
  if (((high >>> 17) & 7) !== 0) {
    w.fault('misaligned', site, 'a matrix with a base offset, which is not simulated');
  }
  const start = (low & 0x3fff) << 4;
  const leading = ((low >>> 16) & 0x3fff) << 4;
  const stride = (high & 0x3fff) << 4;
  const width = 256 >> code;
  const mask = (width >> 4) - 1;
  const { shared } = w;
  const word = (offset: number) => {
    const plain = start + offset;
    return shared.locate(w, site, 0, plain ^ (((plain >> 7) & mask) << 4), 16) >> 2;
  };
  if (!transposed) {
    const perLine = (depth * bytesPerElement) / 16;
    const chunks = new Int32Array(lines * perLine);
    for (let i = 0; i < lines; i++) {
      const line = first + i;
      const row = (line >> 3) * stride + (line & 7) * width;
      for (let c = 0; c < perLine; c++) chunks[i * perLine + c] = word(row + c * 16);
    }
    return chunks;
  }
  const perTile = width / bytesPerElement;
  const perChunk = 16 / bytesPerElement;
  const perStep = lines / perChunk;
  const chunks = new Int32Array(depth * perStep);
  for (let k = 0; k < depth; k++) {
    const row = (k >> 3) * stride + (k & 7) * width;
    for (let c = 0; c < perStep; c++) {
      const line = first + c * perChunk;
      const tile = Math.floor(line / perTile) * leading;
      chunks[k * perStep + c] = word(row + tile + (line % perTile) * bytesPerElement);
    }
  }
  return chunks;
}
