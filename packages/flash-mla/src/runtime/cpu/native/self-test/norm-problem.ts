import type { VectorKind } from '../kernels/features.ts';
import { normKernels } from '../kernels/norm/norm.ts';
import { memoryOfNaN, type NativeProblem, Places, seededNumbers, WorstError } from './problem.ts';

type Element = 'bf16' | 'f32';

/** A row to be normed. */
export interface NormShape {
  readonly columns: number;
  readonly x: Element;
  readonly residual?: Element;
  readonly out: Element;
}

const eps = 1e-5;
const sizeOf = (element: Element) => (element === 'bf16' ? 2 : 4);

export function normProblem(kind: VectorKind, shape: NormShape): NativeProblem {
  const { columns, x, residual, out } = shape;
  const room = new Places();
  const places = {
    x: room.takeBytes(columns * sizeOf(x)),
    gains: room.take(columns),
    row: room.take(columns),
    out: room.takeBytes(columns * sizeOf(out)),
    ...(residual && { residual: room.takeBytes(columns * sizeOf(residual)) }),
  };
  const memory = memoryOfNaN(room.bytes);
  const view = new DataView(memory.buffer);
  const word = new DataView(new ArrayBuffer(4));
  const random = seededNumbers(columns);
  const read = (from: DataView, at: number, i: number, element: Element) => {
    if (element === 'f32') return from.getFloat32(at + 4 * i, true);
    word.setUint32(0, from.getUint16(at + 2 * i, true) << 16, true);
    return word.getFloat32(0, true);
  };
  const draw = (at: number, element: Element) => {
    for (let i = 0; i < columns; i++) {
      word.setFloat32(0, random(), true);
      if (element === 'f32') view.setFloat32(at + 4 * i, word.getFloat32(0, true), true);
      else view.setUint16(at + 2 * i, word.getUint16(2, true), true);
    }
  };
  draw(places.x, x);
  draw(places.gains, 'f32');
  if (residual && places.residual) draw(places.residual, residual);
  const before = new DataView(memory.slice().buffer);
  memory.set(
    normKernels[kind].packJob({
      ...{ residual: 0, ...places, columns, eps },
      xIsBf16: x === 'bf16' ? 1 : 0,
      residualIsBf16: residual === 'bf16' ? 1 : 0,
      outIsBf16: out === 'bf16' ? 1 : 0,
    }),
  );
  function errorOf(result: Uint8Array): number {
    const found = new DataView(result.slice().buffer);
    const error = new WorstError();
    const normed = Array.from({ length: columns }, (_, i) => read(before, places.x, i, x));
    if (residual && places.residual) {
      for (const [i, value] of normed.entries()) {
        const sum = value + read(before, places.residual, i, residual);
        const kept = read(found, places.residual, i, residual);
        const most = residual === 'bf16' ? 2 ** -8 : 2 ** -23;
        if (!(Math.abs(kept - sum) <= most * Math.abs(sum))) return Number.POSITIVE_INFINITY;
        normed[i] = kept;
      }
    }
    const squares = normed.reduce((sum, value) => sum + value * value, 0);
    const scale = 1 / Math.sqrt(squares / columns + eps);
    for (const [i, value] of normed.entries()) {
      const expected = value * scale * read(before, places.gains, i, 'f32');
      error.compare(read(found, places.out, i, out), expected);
    }
    return error.worst;
  }
  const operands = room.operands(normKernels[kind].jobLayout, places);
  return { memory, job: 0, operands, tolerance: out === 'bf16' ? 2 ** -8 : 1e-6, errorOf };
}
