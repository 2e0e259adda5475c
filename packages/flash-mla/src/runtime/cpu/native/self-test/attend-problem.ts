import { attendKernels } from '../kernels/attend/attend.ts';
import type { VectorKind } from '../kernels/features.ts';
import {
  attendRow,
  memoryOfNaN,
  type NativeProblem,
  Places,
  seededNumbers,
  WorstError,
} from './problem.ts';

/** A block to attend to, with whatever a tile can look like. */
export interface AttendShape {
  readonly rows: number;
  readonly tokens: number;
  readonly headDimQk: number;
  readonly headDimV: number;
  /** Whether rows see different numbers of tokens. */
  readonly masked: boolean;
  /** Whether the tile has attended to something before. */
  readonly continued: boolean;
}

const block = 64;
const spare = 8;
const position = 100;

/** A block of decoded tokens, laid out in memory as assembly/attend/tile.ts does. */
export function attendProblem(kind: VectorKind, shape: AttendShape): NativeProblem {
  const { rows, tokens, headDimQk: d, headDimV, masked } = shape;
  const padded = Math.ceil(rows / 16) * 16;
  const colTiles = Math.ceil(headDimV / 16);
  const keyColumns = Math.max(Math.ceil(d / 16), colTiles) * 16;
  const room = new Places();
  const places = {
    maximum: room.take(padded),
    sum: room.take(padded),
    decay: room.take(padded),
    limits: room.take(padded),
    queries: room.take(padded * d),
    keys: room.take((block + spare) * keyColumns),
    scores: room.take((padded / 16) * (block + spare) * 16),
    outputs: room.take(colTiles * padded * 16),
  };
  const memory = memoryOfNaN(room.bytes);
  const floats = new Float32Array(memory.buffer);
  const limits = new Int32Array(memory.buffer, places.limits, padded);
  const random = seededNumbers(rows * 1000 + tokens);
  const queryAt = (row: number, c: number) =>
    places.queries / 4 + (row >> 4) * 16 * d + c * 16 + (row & 15);
  const keyAt = (token: number, c: number) => places.keys / 4 + token * keyColumns + c;
  const outputAt = (row: number, c: number) =>
    places.outputs / 4 + (c >> 4) * padded * 16 + row * 16 + (c & 15);
  for (let r = 0; r < padded; r++) {
    floats[places.maximum / 4 + r] = Number.NEGATIVE_INFINITY;
    limits[r] = position + Math.min(tokens, 1 + (r % block));
    floats[places.sum / 4 + r] = 0;
    for (let c = 0; c < colTiles * 16; c++) floats[outputAt(r, c)] = 0;
    for (let c = 0; c < d; c++) floats[queryAt(r, c)] = r < rows ? random() : 0;
    if (!shape.continued || r >= rows) continue;
    floats[places.maximum / 4 + r] = random();
    floats[places.sum / 4 + r] = 1 + Math.abs(random());
    for (let c = 0; c < colTiles * 16; c++) floats[outputAt(r, c)] = random();
  }
  for (let t = 0; t < tokens; t++) {
    for (let c = 0; c < keyColumns; c++) floats[keyAt(t, c)] = random();
  }
  const before = floats.slice();
  const fields = { ...places, values: places.keys };
  memory.set(
    attendKernels[kind].packJob({
      ...fields,
      keyStride: 4 * keyColumns,
      valueStride: 4 * keyColumns,
      outputStride: padded * 64,
      scoreStride: (block + spare) * 64,
      headDimQk: d,
      colTiles,
      rows,
      tokens,
      masked: masked ? 1 : 0,
      position,
    }),
  );

  function errorOf(result: Uint8Array): number {
    const found = new Float32Array(result.slice().buffer);
    const error = new WorstError();
    const number = (index: number) => before[index] as number;
    const compare = (index: number, expected: number) =>
      error.compare(found[index] as number, expected);
    for (let r = 0; r < rows; r++) {
      const seen = masked ? (limits[r] as number) - position : tokens;
      const logits = Array.from({ length: seen }, (_, t) => {
        let logit = 0;
        for (let c = 0; c < d; c++) logit += number(queryAt(r, c)) * number(keyAt(t, c));
        return logit;
      });
      const [top, sum] = [places.maximum / 4 + r, places.sum / 4 + r];
      const row = attendRow(logits, number(top), number(sum), found[top] as number);
      if (row === undefined) return Number.POSITIVE_INFINITY;
      compare(sum, row.sum);
      for (let c = 0; c < headDimV; c++) {
        let output = number(outputAt(r, c)) * row.decay;
        for (const [t, p] of row.p.entries()) output += p * number(keyAt(t, c));
        compare(outputAt(r, c), output);
      }
    }
    return error.worst;
  }
  // Sums of some hundred products in float32.
  const operands = room.operands(attendKernels[kind].jobLayout, fields);
  return { memory, job: 0, operands, tolerance: 1e-5, errorOf };
}
