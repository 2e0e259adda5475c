import type { Kernel } from '@flash-mla/machine-code';
import type { productsJob } from '../kernels/products/job.ts';
import { type NativeProblem, Places, seededNumbers, WorstError } from './problem.ts';

/** A product of rows of bf16 with rows of weights of bf16. */
export interface ProductsShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** Rows of weights, then rows of x at the very end of the memory; or the other way round. */
export function productsProblem(
  kernel: Kernel<typeof productsJob>,
  { rows, columns, depth }: ProductsShape,
  last: 'x' | 'weights' = 'x',
): NativeProblem {
  const padded = Math.ceil(rows / 16) * 16;
  const room = new Places();
  const sums = room.take(padded * (columns + 3));
  const panels = room.take((padded * depth) / 2);
  const sizes = { x: rows * depth * 2, weights: columns * depth * 2 };
  const first = last === 'x' ? 'weights' : 'x';
  const places = { [first]: room.end, [last]: room.end + sizes[first] } as Record<
    'x' | 'weights',
    number
  >;
  const memory = new Uint8Array(room.end + sizes.x + sizes.weights);
  const view = new DataView(memory.buffer);
  const random = seededNumbers(rows * 1000 + columns);
  const word = new DataView(new ArrayBuffer(4));
  for (let at = room.end; at < memory.length; at += 2) {
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
      ...{ sums, panels, rows, columns, depth },
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
  return { memory, job: 0, tolerance: 1e-5, errorOf };
}
