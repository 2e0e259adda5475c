import type { Kernel } from '@flash-mla/machine-code';
import type { productsJob } from '../kernels/products/job.ts';
import { memoryOfNaN, type NativeProblem, Places, seededNumbers, WorstError } from './problem.ts';

/** A product of rows of bf16 with rows of weights of bf16. */
export interface ProductsShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

export function productsProblem(
  kernel: Kernel<typeof productsJob>,
  { rows, columns, depth }: ProductsShape,
): NativeProblem {
  const padded = Math.ceil(rows / 16) * 16;
  const room = new Places();
  const sums = room.take(padded * (columns + 3) - 3);
  const panels = room.take((padded * depth) / 2);
  const places = {
    ...{ sums, panels },
    weights: room.takeBytes(columns * depth * 2),
    x: room.takeBytes(rows * depth * 2),
  };
  const memory = memoryOfNaN(room.bytes);
  const view = new DataView(memory.buffer);
  const random = seededNumbers(rows * 1000 + columns);
  const word = new DataView(new ArrayBuffer(4));
  for (let at = places.weights; at < memory.length; at += 2) {
    word.setFloat32(0, random(), true);
    view.setUint16(at, word.getUint16(2, true), true);
  }
  const bf16 = (at: number) => {
    word.setUint32(0, view.getUint16(at, true) << 16, true);
    return word.getFloat32(0, true);
  };
  memory.set(
    kernel.packJob({
      ...places,
      ...{ rows, columns, depth },
      xStride: 2 * depth,
      weightStride: 2 * depth,
      sumsStride: 4 * (columns + 3),
      pack: 1,
    }),
  );
  function errorOf(result: Uint8Array): number {
    const found = new DataView(result.slice().buffer);
    const error = new WorstError();
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        let expected = 0;
        for (let i = 0; i < depth; i++) {
          expected +=
            bf16(places.x + 2 * (r * depth + i)) * bf16(places.weights + 2 * (c * depth + i));
        }
        error.compare(found.getFloat32(sums + 4 * (r * (columns + 3) + c), true), expected);
      }
    }
    return error.worst;
  }
  const operands = room.operands(kernel.jobLayout, places);
  return { memory, job: 0, operands, tolerance: 1e-5, errorOf };
}
