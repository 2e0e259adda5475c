import { decodeAll, type HostTensor } from '@flash-mla/core';
import { indexDim, indexRopeDim, largestE4m3, leastMagnitude } from '../limits.ts';

/** Arguments of {@link indexRows} on the host. */
export interface IndexRowsProblem {
  /** (rows, heads, 128). */
  readonly x: HostTensor<'bf16' | 'f32'>;
  /** LayerNorm of each row before everything else; keys have it. */
  readonly norm?: {
    readonly weight: HostTensor<'bf16' | 'f32'>;
    readonly bias: HostTensor<'bf16' | 'f32'>;
    readonly eps: number;
  };
  /** (positions, 32). */
  readonly cos: HostTensor<'f32'>;
  readonly sin: HostTensor<'f32'>;
  /** (rows). */
  readonly positions: Int32Array;
  readonly interleaved: boolean;
  readonly hadamard: boolean;
}

/** Rows before they are rounded to e4m3. */
export interface IndexRowsAnswer {
  /** value / scale, as x. */
  readonly values: Float64Array;
  /** A power of two for each row of 128. */
  readonly scales: Float64Array;
}

/** LayerNorm, rotation of the first 64 dimensions, Hadamard and scaling, in float64. */
export function indexRows(problem: IndexRowsProblem): IndexRowsAnswer {
  const { x, positions } = problem;
  const [rows = 0, heads = 0] = x.shape;
  const values = decodeAll(x);
  const scales = new Float64Array(rows * heads);
  for (let vector = 0; vector < rows * heads; vector++) {
    const row = values.subarray(vector * indexDim, (vector + 1) * indexDim);
    if (problem.norm) layerNorm(row, problem.norm);
    rotate(row, positions[Math.floor(vector / heads)] as number, problem);
    if (problem.hadamard) hadamard(row);
    const largest = row.reduce((most, v) => Math.max(most, Math.abs(v)), leastMagnitude);
    const scale = 2 ** Math.ceil(Math.log2(largest / largestE4m3));
    scales[vector] = scale;
    for (const [i, value] of row.entries()) row[i] = value / scale;
  }
  return { values, scales };
}

function layerNorm(row: Float64Array, norm: NonNullable<IndexRowsProblem['norm']>): void {
  const [gains, biases] = [decodeAll(norm.weight), decodeAll(norm.bias)];
  const mean = row.reduce((a, b) => a + b, 0) / indexDim;
  const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / indexDim;
  const scale = 1 / Math.sqrt(variance + norm.eps);
  for (const [i, v] of row.entries()) {
    row[i] = (v - mean) * scale * (gains[i] as number) + (biases[i] as number);
  }
}

function rotate(
  row: Float64Array,
  position: number,
  { cos, sin, interleaved }: IndexRowsProblem,
): void {
  if (position < 0 || position >= (cos.shape[0] ?? 0)) return;
  const half = indexRopeDim / 2;
  for (let i = 0; i < half; i++) {
    const [one, two] = interleaved ? [2 * i, 2 * i + 1] : [i, i + half];
    const c = cos.data[position * half + i] as number;
    const s = sin.data[position * half + i] as number;
    const [a, b] = [row[one] as number, row[two] as number];
    row[one] = a * c - b * s;
    row[two] = a * s + b * c;
  }
}

/** The orthonormal Hadamard matrix in Sylvester's order. */
function hadamard(row: Float64Array): void {
  for (let step = 1; step < indexDim; step *= 2) {
    for (let i = 0; i < indexDim; i++) {
      if (i & step) continue;
      const [a, b] = [row[i] as number, row[i + step] as number];
      row[i] = a + b;
      row[i + step] = a - b;
    }
  }
  for (const [i, v] of row.entries()) row[i] = v / Math.sqrt(indexDim);
}
