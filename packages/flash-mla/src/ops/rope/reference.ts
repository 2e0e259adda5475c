import { decodeAll, type HostTensor } from '@flash-mla/core';

/** Arguments of {@link applyRope} on the host. */
export interface RopeProblem {
  /** (rows, heads, dim). */
  readonly x: HostTensor;
  /** (positions, dim / 2). */
  readonly cos: HostTensor<'f32'>;
  readonly sin: HostTensor<'f32'>;
  readonly positions: HostTensor<'i32'> | undefined;
  readonly interleaved: boolean;
}

/** Rotates pairs of columns in float64. */
export function applyRope({ x, cos, sin, positions, interleaved }: RopeProblem): Float64Array {
  const [rows, heads, dim] = x.shape as [number, number, number];
  const half = dim / 2;
  const known = cos.shape[0] as number;
  const out = decodeAll(x);
  for (let row = 0; row < rows; row++) {
    const position = positions === undefined ? row : (positions.data[row] as number);
    if (position < 0 || position >= known) continue;
    for (let i = 0; i < half; i++) {
      const c = cos.data[position * half + i] as number;
      const s = sin.data[position * half + i] as number;
      for (let head = 0; head < heads; head++) {
        const begin = (row * heads + head) * dim;
        const first = begin + (interleaved ? 2 * i : i);
        const second = begin + (interleaved ? 2 * i + 1 : i + half);
        const [a, b] = [out[first] as number, out[second] as number];
        out[first] = a * c - b * s;
        out[second] = a * s + b * c;
      }
    }
  }
  return out;
}
