import { describe, expect, it } from 'vitest';
import { goldenKernels } from '../golden/index.ts';
import { type ProductShape, positions } from '../golden/wgmma.ts';
import { type MatrixSums, SimMemory, simulate } from '../index.ts';
import { e4m3Value } from './numerics/float.ts';
import { f16Value } from './numerics/half.ts';

const rows = 64;

/** The elements of both matrices as numbers. */
function decode(type: ProductShape['type'], bytes: Uint8Array<ArrayBuffer>): Float64Array {
  if (type === 'e4m3') return Float64Array.from(bytes, e4m3Value);
  const halves = new Uint16Array(bytes.buffer);
  const single = (bits: number) => new Float32Array(new Int32Array([bits << 16]).buffer)[0];
  return Float64Array.from(halves, type === 'f16' ? f16Value : single);
}

/** What each thread's registers hold, by the definition of the product. */
function expected(shape: ProductShape, bytes: Uint8Array<ArrayBuffer>): Float32Array {
  const { type, columns, depth, a, b, start = 'numbers' } = shape;
  const { width, first } = shape.part ?? { width: columns, first: 0 };
  const x = decode(type, bytes);
  const left = (row: number, k: number) => x[a === 'mnMajor' ? k * rows + row : row * depth + k];
  const right = (k: number, column: number) =>
    x[rows * depth + (b === 'mnMajor' ? k * width + first + column : (first + column) * depth + k)];
  return Float32Array.from({ length: rows * columns }, (_, place) => {
    const [i, thread] = [Math.floor(place / 128), place % 128];
    const row = (thread >> 5) * 16 + ((thread & 31) >> 2) + ((i >> 1) & 1) * 8;
    const column = (i >> 2) * 8 + (thread & 3) * 2 + (i & 1);
    let sum = start === 'numbers' ? (thread & 63) + i : 0;
    for (let k = 0; k < depth; k++) sum += left(row, k) * right(k, column);
    return sum;
  });
}

describe('products of warp groups', () => {
  for (const sums of ['exact', 'h200'] satisfies MatrixSums[]) {
    it.each(positions)(`%s, sums as ${sums}`, (name, shape) => {
      const golden = goldenKernels().find(
        (g) => g.family === 'wgmma' && g.name === `wgmma.${name}`,
      );
      if (golden === undefined) throw new Error(`no golden kernel ${name}`);
      const memory = new SimMemory();
      const [x, out] = golden.buffers.map(({ bytes }) => memory.allocFrom(bytes));
      const { kernel, grid } = golden;
      simulate(kernel, { grid, memory, params: { x, out }, matrixSums: sums });
      const { bytes } = golden.buffers[1];
      const got = new Float32Array(memory.read(out, bytes.length).buffer);
      expect(got).toEqual(expected(shape, golden.buffers[0].bytes));
    });
  }
});
