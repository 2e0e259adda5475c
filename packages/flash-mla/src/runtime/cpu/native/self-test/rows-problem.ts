import type { Kernel } from '@flash-mla/machine-code';
import type { rowsJob } from '../kernels/rows/job.ts';
import type { AttendShape } from './attend-problem.ts';
import {
  attendRow,
  memoryOfNaN,
  type NativeProblem,
  Places,
  seededNumbers,
  WorstError,
} from './problem.ts';

const spare = 8;
const position = 100;
const scale = 0.4;

/** bf16 is the upper half of f32. */
const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);
function toBf16(value: number): number {
  float[0] = value;
  return (word[0] as number) >>> 16;
}
function fromBf16(code: number): number {
  word[0] = code << 16;
  return float[0] as number;
}
function roundToBf16(value: number): number {
  float[0] = value;
  return fromBf16(((word[0] as number) + 0x8000) >>> 16);
}

/** How tokens and outputs lie. */
export interface RowsPlace {
  /** Bytes between the rows of tokens. */
  readonly gap?: number;
  readonly scattered?: boolean;
  /** Outputs of 32 columns as even and odd ones. */
  readonly columnPairs?: boolean;
}

/**
 * bf16 tokens in place, laid out in memory as assembly/attend/tile.ts does. They lie at the very end of the
 * memory; `blockTokens`: how many the kernel takes at once.
 */
export function rowsProblem(
  kernel: Kernel<typeof rowsJob>,
  blockTokens: number,
  shape: AttendShape,
  { gap = 0, scattered = false, columnPairs = false }: RowsPlace = {},
): NativeProblem {
  const { rows, tokens, headDimQk: d, headDimV, masked } = shape;
  const padded = Math.ceil(rows / 16) * 16;
  const colTiles = headDimV / 16;
  const valueStride = blockTokens * 32 + 64;
  const scoreStride = (blockTokens + spare) * 64;
  const room = new Places();
  const places = {
    maximum: room.take(padded),
    sum: room.take(padded),
    decay: room.take(padded),
    limits: room.take(padded),
    outputs: room.take(colTiles * padded * 16),
    queries: room.take((padded * d) / 2),
    scores: room.take(((padded / 16) * scoreStride) / 4),
    valuePairs: room.take((colTiles * valueStride) / 4),
    rowList: room.take(blockTokens),
    staging: room.take((blockTokens * d) / 2),
  };
  const rowBytes = 2 * d + gap;
  const cache = room.takeBytes(tokens * rowBytes - gap);
  const memory = memoryOfNaN(room.bytes);
  const view = new DataView(memory.buffer);
  const random = seededNumbers(rows * 1000 + tokens);
  const queryAt = (row: number, c: number) =>
    places.queries + (row >> 4) * 32 * d + (c >> 1) * 64 + (row & 15) * 4 + (c & 1) * 2;
  const outputAt = (row: number, column: number) => {
    const c = columnPairs ? (column & ~31) | ((column & 1) << 4) | ((column & 31) >> 1) : column;
    return places.outputs + (c >> 4) * padded * 64 + row * 64 + (c & 15) * 4;
  };
  const isScattered = scattered && tokens % 7 !== 0;
  const row = (token: number) =>
    cache + rowBytes * (isScattered ? (token * 7 + 3) % tokens : token);
  for (let r = 0; r < padded; r++) {
    view.setFloat32(places.maximum + 4 * r, Number.NEGATIVE_INFINITY, true);
    view.setInt32(places.limits + 4 * r, position + Math.min(tokens, 1 + (r % 64)), true);
    view.setFloat32(places.sum + 4 * r, 0, true);
    for (let c = 0; c < headDimV; c++) view.setFloat32(outputAt(r, c), 0, true);
    for (let c = 0; c < d; c++) view.setUint16(queryAt(r, c), 0, true);
    for (let c = 0; c < d && r < rows; c++) view.setUint16(queryAt(r, c), toBf16(random()), true);
    if (!shape.continued || r >= rows) continue;
    view.setFloat32(places.maximum + 4 * r, random(), true);
    view.setFloat32(places.sum + 4 * r, 1 + Math.abs(random()), true);
    for (let c = 0; c < headDimV; c++) view.setFloat32(outputAt(r, c), random(), true);
  }
  for (let t = 0; t < tokens; t++) {
    view.setUint32(places.rowList + 4 * t, row(t), true);
    for (let c = 0; c < d; c++) view.setUint16(row(t) + 2 * c, toBf16(random()), true);
  }
  for (let t = tokens; t < Math.ceil(tokens / 32) * 32; t++) {
    view.setUint32(places.rowList + 4 * t, row(tokens - 1), true);
  }
  const before = new DataView(memory.buffer.slice(0));
  memory.set(
    kernel.packJob({
      ...places,
      valueStride,
      outputStride: padded * 64,
      scoreStride,
      headDimQk: d,
      colTiles,
      rows,
      tokens,
      masked: masked ? 1 : 0,
      position,
      scale,
      status: 0,
      columnPairs: columnPairs ? 1 : 0,
      next: 0,
    }),
  );

  const vectorAt = (address: (c: number) => number) =>
    Float64Array.from({ length: d }, (_, c) => fromBf16(before.getUint16(address(c), true)));

  function errorOf(result: Uint8Array): number {
    const found = new DataView(result.slice().buffer);
    const error = new WorstError();
    const number = (at: number) => before.getFloat32(at, true);
    const compare = (at: number, expected: number) =>
      error.compare(found.getFloat32(at, true), expected);
    const keys = Array.from({ length: tokens }, (_, t) => vectorAt((c) => row(t) + 2 * c));
    for (let r = 0; r < rows; r++) {
      const query = vectorAt((c) => queryAt(r, c));
      const seen = masked ? before.getInt32(places.limits + 4 * r, true) - position : tokens;
      const logits = keys
        .slice(0, seen)
        .map((key) => scale * key.reduce((sum, x, c) => sum + x * (query[c] as number), 0));
      const [top, sum] = [places.maximum + 4 * r, places.sum + 4 * r];
      const expected = attendRow(logits, number(top), number(sum), found.getFloat32(top, true));
      if (expected === undefined) return Number.POSITIVE_INFINITY;
      compare(sum, expected.sum);
      const weights = expected.p.map(roundToBf16);
      for (let c = 0; c < headDimV; c++) {
        let output = number(outputAt(r, c)) * expected.decay;
        for (const [t, p] of weights.entries())
          output += p * ((keys[t] as Float64Array)[c] as number);
        compare(outputAt(r, c), output);
      }
    }
    return error.worst;
  }
  // Probabilities are rounded to bf16: one of them in another direction is that far off.
  const names = Array.from({ length: Math.ceil(tokens / 32) * 32 }, (_, t) => t);
  const list = new Map([[cache, names.map((t) => places.rowList + 4 * t)]]);
  const operands = room.operands(kernel.jobLayout, places, list);
  return { memory, job: 0, operands, tolerance: 4e-3, errorOf };
}
