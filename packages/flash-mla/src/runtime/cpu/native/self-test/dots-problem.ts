import { dotsKernels } from '../kernels/dots/dots.ts';
import type { VectorKind } from '../kernels/features.ts';
import { memoryOfNaN, type NativeProblem, Places, seededNumbers, WorstError } from './problem.ts';

/** A product of rows with rows of weights. */
export interface DotsShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly bf16: boolean;
}

/** Rows of x, and rows of weights at the very end of the memory. */
export function dotsProblem(kind: VectorKind, shape: DotsShape): NativeProblem {
  const { rows, columns, depth, bf16 } = shape;
  const room = new Places();
  const sums = room.take(rows * (columns + 3) - 3);
  const x = room.take(rows * (depth + 8) - 8);
  const size = bf16 ? 2 : 4;
  const weights = room.takeBytes(columns * depth * size);
  const memory = memoryOfNaN(room.bytes);
  const view = new DataView(memory.buffer);
  const random = seededNumbers(rows * 1000 + columns);
  const xAt = (r: number, c: number) => x + 4 * (r * (depth + 8) + c);
  const weightAt = (r: number, c: number) => weights + size * (r * depth + c);
  const word = new DataView(new ArrayBuffer(4));
  const weight = (r: number, c: number) => {
    if (!bf16) return view.getFloat32(weightAt(r, c), true);
    word.setUint32(0, view.getUint16(weightAt(r, c), true) << 16, true);
    return word.getFloat32(0, true);
  };
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < depth; c++) view.setFloat32(xAt(r, c), random(), true);
  }
  for (let r = 0; r < columns; r++) {
    for (let c = 0; c < depth; c++) {
      word.setFloat32(0, random(), true);
      if (bf16) view.setUint16(weightAt(r, c), word.getUint16(2, true), true);
      else view.setFloat32(weightAt(r, c), word.getFloat32(0, true), true);
    }
  }
  memory.set(
    dotsKernels[kind].packJob({
      x,
      weights,
      sums,
      xStride: 4 * (depth + 8),
      weightStride: size * depth,
      sumsStride: 4 * (columns + 3),
      rows,
      columns,
      depth,
      isBf16: bf16 ? 1 : 0,
    }),
  );
  function errorOf(result: Uint8Array): number {
    const found = new DataView(result.slice().buffer);
    const error = new WorstError();
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        let expected = 0;
        for (let i = 0; i < depth; i++) {
          expected += view.getFloat32(xAt(r, i), true) * weight(c, i);
        }
        error.compare(found.getFloat32(sums + 4 * (r * (columns + 3) + c), true), expected);
      }
    }
    return error.worst;
  }
  const operands = room.operands(dotsKernels[kind].jobLayout, { x, weights, sums });
  return { memory, job: 0, operands, tolerance: 1e-5, errorOf };
}
