import type { VectorKind } from '../kernels/features.ts';
import { scaleElements } from '../kernels/scaled-dots/job.ts';
import { scaledDotsKernels } from '../kernels/scaled-dots/scaled-dots.ts';
import { memoryOfNaN, type NativeProblem, Places, seededNumbers, WorstError } from './problem.ts';

/** A product of rows with rows of weights of e4m3. */
export interface ScaledDotsShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** One row of weights holds a NaN. */
  readonly withNaN?: boolean;
}

/** The value of a code of e4m3, by its definition. */
export function e4m3Value(code: number): number {
  const [sign, exponent, fraction] = [code >> 7 ? -1 : 1, (code >> 3) & 15, code & 7];
  if ((code & 0x7f) === 0x7f) return Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10));
}

/** Rows of x, scales, and rows of weights at the very end of the memory. All codes occur, subnormal ones too. */
export function scaledDotsProblem(kind: VectorKind, shape: ScaledDotsShape): NativeProblem {
  const { rows, columns, depth, withNaN = false } = shape;
  const room = new Places();
  const blocks = Math.ceil(depth / scaleElements);
  const places = {
    sums: room.take(rows * (columns + 3) - 3),
    x: room.take(rows * (depth + 8) - 8),
    scales: room.take(blocks),
    weights: room.takeBytes(columns * depth),
  };
  const memory = memoryOfNaN(room.bytes);
  const view = new DataView(memory.buffer);
  const random = seededNumbers(rows * 1000 + columns);
  const xAt = (r: number, c: number) => places.x + 4 * (r * (depth + 8) + c);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < depth; c++) view.setFloat32(xAt(r, c), random(), true);
  }
  for (let b = 0; b < blocks; b++) view.setFloat32(places.scales + 4 * b, 0.001 * (b + 1), true);
  for (let i = 0; i < columns * depth; i++) {
    const code = Math.floor(256 * (random() + 0.5));
    memory[places.weights + i] = (code & 0x7f) === 0x7f ? code ^ 1 : code;
  }
  const columnOfNaN = withNaN ? columns - 1 : -1;
  if (withNaN) memory[places.weights + columnOfNaN * depth + depth - 3] = 0xff;
  memory.set(
    scaledDotsKernels[kind].packJob({
      ...places,
      ...{ rows, columns, depth },
      xStride: 4 * (depth + 8),
      weightStride: depth,
      sumsStride: 4 * (columns + 3),
    }),
  );
  function errorOf(result: Uint8Array): number {
    const found = new DataView(result.slice().buffer);
    const error = new WorstError();
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const sum = found.getFloat32(places.sums + 4 * (r * (columns + 3) + c), true);
        if (c === columnOfNaN) {
          if (!Number.isNaN(sum)) return Number.POSITIVE_INFINITY;
          continue;
        }
        let expected = 0;
        for (let i = 0; i < depth; i++) {
          const scale = view.getFloat32(places.scales + 4 * Math.floor(i / scaleElements), true);
          const weight = e4m3Value(view.getUint8(places.weights + c * depth + i));
          expected += view.getFloat32(xAt(r, i), true) * weight * scale;
        }
        error.compare(sum, expected);
      }
    }
    return error.worst;
  }
  const operands = room.operands(scaledDotsKernels[kind].jobLayout, places);
  return { memory, job: 0, operands, tolerance: 1e-5, errorOf };
}
