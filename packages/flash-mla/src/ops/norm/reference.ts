import { decodeAll, decodeBf16, encodeBf16, type HostTensor } from '@flash-mla/core';
import { largestE4m3, leastMagnitude, scaleColumns } from './limits.ts';

/** Arguments of {@link rmsNorm} on the host. */
export interface RmsNormProblem {
  /** bf16 or f32 (rows, columns). */
  readonly x: HostTensor<'bf16' | 'f32'>;
  readonly weight: HostTensor<'bf16' | 'f32'>;
  readonly residual?: HostTensor<'bf16' | 'f32'> | undefined;
  readonly eps: number;
}

/** Normed rows before they are rounded. */
export interface RmsNormAnswer {
  /** (rows, columns). */
  readonly out: Float64Array;
  /** (rows, columns): the new residual, rounded to its dtype. */
  readonly residual: Float64Array | undefined;
}

/** RMSNorm in float64, after the residual's addition, which is in float32. */
export function rmsNorm({ x, weight, residual, eps }: RmsNormProblem): RmsNormAnswer {
  const [rows = 0, columns = 0] = x.shape;
  const values = decodeAll(x);
  const gains = decodeAll(weight);
  if (residual) {
    const round = residual.dtype === 'bf16' ? roundToBf16 : Math.fround;
    decodeAll(residual).forEach((r, i) => {
      values[i] = round(Math.fround((values[i] as number) + r));
    });
  }
  const out = new Float64Array(values.length);
  for (let row = 0; row < rows; row++) {
    const begin = row * columns;
    let squares = 0;
    for (let c = 0; c < columns; c++) squares += (values[begin + c] as number) ** 2;
    const scale = 1 / Math.sqrt(squares / columns + eps);
    for (let c = 0; c < columns; c++) {
      out[begin + c] = (values[begin + c] as number) * scale * (gains[c] as number);
    }
  }
  return { out, residual: residual && values };
}

/** e4m3 rows before they are rounded, with their scales. */
export interface ScaledRows {
  /** value / scale. */
  readonly values: Float64Array;
  readonly scales: Float64Array;
}

/** Divides each 128 columns by a scale that brings their largest magnitude to 448. */
export function scaleRows(rows: Float64Array, powerOfTwo: boolean): ScaledRows {
  const values = new Float64Array(rows.length);
  const scales = new Float64Array(rows.length / scaleColumns);
  for (let group = 0; group < scales.length; group++) {
    const begin = group * scaleColumns;
    const part = rows.subarray(begin, begin + scaleColumns);
    const largest = part.reduce((most, v) => Math.max(most, Math.abs(v)), leastMagnitude);
    const exact = largest / largestE4m3;
    const scale = powerOfTwo ? 2 ** Math.ceil(Math.log2(exact)) : exact;
    scales[group] = scale;
    part.forEach((value, i) => {
      values[begin + i] = value / scale;
    });
  }
  return { values, scales };
}

const roundToBf16 = (value: number) => decodeBf16(encodeBf16(value));
