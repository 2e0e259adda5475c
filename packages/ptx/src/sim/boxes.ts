import type { DecodedMap } from './tensor-map.ts';

/** One row of a box: contiguous in shared memory, and in global memory where it lies in the tensor. */
export interface BoxRow {
  /** First byte in shared memory, from the start of the box, before swizzling. */
  readonly place: number;
  /** The bytes [from, to) of the row that lie in the tensor; none if equal. */
  readonly from: number;
  readonly to: number;
  /** Global address of the byte `from`. */
  readonly address: number;
}

/** Elements of a box per dimension, with element strides taken into account. */
export function boxShape({ box, elementStrides }: DecodedMap): number[] {
  // The innermost dimension takes every element, whatever its stride says.
  return box.map((n, i) => (i === 0 ? n : Math.ceil(n / elementStrides[i])));
}

/** Bytes of a box in shared memory. */
export function bytesOfBox(map: DecodedMap): number {
  return boxShape(map).reduce((product, n) => product * n, map.elementBytes);
}

/** The rows of the box at these coordinates. */
export function* boxRows(map: DecodedMap, coordinates: readonly number[]): Generator<BoxRow> {
  const { dims, strides, elementBytes, elementStrides, address } = map;
  const shape = boxShape(map);
  const rowBytes = shape[0] * elementBytes;
  const rows = shape.slice(1).reduce((product, n) => product * n, 1);
  const low = Math.min(Math.max(0, -coordinates[0]), shape[0]);
  const high = Math.max(low, Math.min(shape[0], dims[0] - coordinates[0]));
  for (let row = 0; row < rows; row++) {
    let rest = row;
    let at = address + (coordinates[0] + low) * elementBytes;
    let inside = true;
    for (let d = 1; d < shape.length; d++) {
      const i = coordinates[d] + (rest % shape[d]) * elementStrides[d];
      rest = Math.floor(rest / shape[d]);
      if (i < 0 || i >= dims[d]) inside = false;
      at += i * strides[d];
    }
    const from = low * elementBytes;
    yield { place: row * rowBytes, from, to: inside ? high * elementBytes : from, address: at };
  }
}

/** Where a 16-byte chunk at this address in shared memory really lies. */
export function swizzled(map: DecodedMap, address: number): number {
  return map.swizzle === undefined ? address : address ^ (((address >> 7) & map.swizzle.mask) << 4);
}
