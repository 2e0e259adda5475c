import { attendKernels } from '../kernels/attend/attend.ts';
import type { attendJob } from '../kernels/attend/job.ts';
import type { VectorKind } from '../kernels/vectors.ts';

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

/** A block laid out in memory, as assembly/attend/tile.ts does, and what must come of it. */
export interface AttendProblem {
  readonly memory: Uint8Array<ArrayBuffer>;
  /** Where the job lies. */
  readonly job: number;
  /** The largest distance from the expected results, relative to their size; infinite for NaN. */
  errorOf(memory: Uint8Array): number;
}

const block = 64;
const spare = 8;
const align = (bytes: number) => Math.ceil(bytes / 64) * 64;

/** Makes a problem with numbers that depend on nothing but the shape. */
export function attendProblem(kind: VectorKind, shape: AttendShape): AttendProblem {
  const { rows, tokens, headDimQk: d, headDimV, masked } = shape;
  const padded = Math.ceil(rows / 16) * 16;
  const colTiles = Math.ceil(headDimV / 16);
  const keyColumns = Math.max(Math.ceil(d / 16), colTiles) * 16;
  let end = 128;
  const room = (floats: number) => {
    const at = end;
    end = align(end + 4 * floats);
    return at;
  };
  const places = {
    maximum: room(padded),
    sum: room(padded),
    decay: room(padded),
    limits: room(padded),
    queries: room(padded * d),
    keys: room((block + spare) * keyColumns),
    scores: room((padded / 16) * (block + spare) * 16),
    outputs: room(colTiles * padded * 16),
  };
  const memory = new Uint8Array(end);
  const floats = new Float32Array(memory.buffer);
  const integers = new Int32Array(memory.buffer);
  const random = numbers(rows * 1000 + tokens);
  const at = {
    query: (row: number, c: number) =>
      places.queries / 4 + (row >> 4) * 16 * d + c * 16 + (row & 15),
    key: (token: number, c: number) => places.keys / 4 + token * keyColumns + c,
    output: (row: number, c: number) =>
      places.outputs / 4 + (c >> 4) * padded * 16 + row * 16 + (c & 15),
  };
  for (let r = 0; r < padded; r++) {
    floats[places.maximum / 4 + r] = Number.NEGATIVE_INFINITY;
    integers[places.limits / 4 + r] = 100 + Math.min(tokens, 1 + (r % block));
    for (let c = 0; c < d; c++) floats[at.query(r, c)] = r < rows ? random() : 0;
    if (!shape.continued || r >= rows) continue;
    floats[places.maximum / 4 + r] = random();
    floats[places.sum / 4 + r] = 1 + Math.abs(random());
    for (let c = 0; c < colTiles * 16; c++) floats[at.output(r, c)] = random();
  }
  for (let t = 0; t < tokens; t++) {
    for (let c = 0; c < keyColumns; c++) floats[at.key(t, c)] = random();
  }
  const before = floats.slice();
  const values: { readonly [F in keyof typeof attendJob]: number } = {
    ...places,
    values: places.keys,
    keyStride: 4 * keyColumns,
    valueStride: 4 * keyColumns,
    outputStride: padded * 64,
    scoreStride: (block + spare) * 64,
    headDimQk: d,
    colTiles,
    rows,
    tokens,
    masked: masked ? 1 : 0,
    position: 100,
  };
  memory.set(attendKernels[kind].packJob(values));

  function errorOf(result: Uint8Array): number {
    const found = new Float32Array(result.slice().buffer);
    let worst = 0;
    const compare = (index: number, expected: number) => {
      const error = Math.abs((found[index] as number) - expected) / Math.max(1, Math.abs(expected));
      worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
    };
    const number = (index: number) => before[index] as number;
    for (let r = 0; r < rows; r++) {
      const seen = masked ? (integers[places.limits / 4 + r] as number) - 100 : tokens;
      const logits = Array.from({ length: seen }, (_, t) => {
        let logit = 0;
        for (let c = 0; c < d; c++) logit += number(at.query(r, c)) * number(at.key(t, c));
        return logit;
      });
      const old = number(places.maximum / 4 + r);
      const top = Math.max(old, ...logits);
      const decay = 2 ** (old - top);
      const p = logits.map((logit) => 2 ** (logit - top));
      compare(places.maximum / 4 + r, top);
      const older = number(places.sum / 4 + r) * decay;
      compare(
        places.sum / 4 + r,
        p.reduce((sum, x) => sum + x, older),
      );
      for (let c = 0; c < headDimV; c++) {
        let output = number(at.output(r, c)) * decay;
        for (const [t, x] of p.entries()) output += x * number(at.key(t, c));
        compare(at.output(r, c), output);
      }
    }
    return worst;
  }
  return { memory, job: 0, errorOf };
}

/** Numbers from −½ to ½, the same each time. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >> 8) / 2 ** 24;
  };
}
