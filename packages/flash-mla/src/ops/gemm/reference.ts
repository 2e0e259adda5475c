import { decodeAll, type HostTensor } from '@flash-mla/core';
import { weightScaleBlock } from './limits.ts';

/** Arguments of {@link gemm} on the host. */
export interface GemmProblem {
  /** bf16 or f32 (rows, batch, depth). */
  readonly x: HostTensor;
  /** (batch, columns, depth), or `transposed` (batch, depth, columns). */
  readonly weight: HostTensor;
  readonly transposed: boolean;
  /** f32 (⌈columns / 128⌉, ⌈depth / 128⌉). */
  readonly weightScales: HostTensor<'f32'> | undefined;
  /** (columns). */
  readonly bias: HostTensor | undefined;
  /** (rows, batch, columns). */
  readonly residual: HostTensor | undefined;
  readonly scale: number;
}

/** `scale · (x · weightᵀ + bias) + residual`, (rows, batch, columns), in float64. */
export function gemm(problem: GemmProblem): Float64Array {
  const { x, transposed, scale } = problem;
  const [rows, batch, depth] = x.shape as [number, number, number];
  const columns = problem.weight.shape[transposed ? 2 : 1] as number;
  const [xs, ws] = [decodeAll(x), weightsOf(problem, columns, depth)];
  const bias = problem.bias && decodeAll(problem.bias);
  const residual = problem.residual && decodeAll(problem.residual);
  const out = new Float64Array(rows * batch * columns);
  const [columnStep, depthStep] = transposed ? [1, columns] : [depth, 1];
  for (let row = 0; row < rows; row++) {
    for (let b = 0; b < batch; b++) {
      for (let c = 0; c < columns; c++) {
        const xAt = (row * batch + b) * depth;
        const wAt = b * columns * depth + c * columnStep;
        let sum = 0;
        for (let k = 0; k < depth; k++) {
          sum += (xs[xAt + k] as number) * (ws[wAt + k * depthStep] as number);
        }
        const at = (row * batch + b) * columns + c;
        out[at] = scale * (sum + (bias?.[c] ?? 0)) + (residual?.[at] ?? 0);
      }
    }
  }
  return out;
}

/** Weights times their scales. */
function weightsOf(
  { weight, weightScales }: GemmProblem,
  columns: number,
  depth: number,
): Float64Array {
  const values = decodeAll(weight);
  if (weightScales === undefined) return values;
  const blocks = Math.ceil(depth / weightScaleBlock);
  for (let c = 0; c < columns; c++) {
    for (let k = 0; k < depth; k++) {
      const block = Math.floor(c / weightScaleBlock) * blocks + Math.floor(k / weightScaleBlock);
      values[c * depth + k] =
        (values[c * depth + k] as number) * (weightScales.data[block] as number);
    }
  }
  return values;
}
