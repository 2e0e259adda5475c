/**
 * Matrix products of float32 arrays, accumulated in double precision. Each element is summed over the
 * depth in one order, whatever block it falls in, so that a row's result does not depend on the others.
 */

/** Rows in a typed array: where the first begins, and how far apart they are. */
export interface Rows {
  readonly data: Float32Array;
  readonly offset: number;
  readonly stride: number;
}

/** Rows of weights that are kept in the cache while all rows of x pass. */
const blockRows = 64;

/** out[i][j] = x[i] · w[j] over `depth` elements, for `n` rows of x and `m` rows of w. */
export function dotRows(x: Rows, w: Rows, out: Rows, n: number, m: number, depth: number): void {
  for (let begin = 0; begin < m; begin += blockRows) {
    const end = Math.min(m, begin + blockRows);
    let i = 0;
    for (; i + 4 <= n; i += 4) dotFourRows(x, i, w, begin, end, out, depth);
    for (; i < n; i++) dotOneRow(x, i, w, begin, end, out, depth);
  }
}

function dotFourRows(
  { data: x, offset: xOffset, stride: xStride }: Rows,
  i: number,
  { data: w, offset: wOffset, stride: wStride }: Rows,
  begin: number,
  end: number,
  { data: out, offset: outOffset, stride: outStride }: Rows,
  depth: number,
): void {
  const x0 = xOffset + i * xStride;
  const x1 = x0 + xStride;
  const x2 = x1 + xStride;
  const x3 = x2 + xStride;
  const o0 = outOffset + i * outStride;
  const o1 = o0 + outStride;
  const o2 = o1 + outStride;
  const o3 = o2 + outStride;
  let j = begin;
  for (; j + 2 <= end; j += 2) {
    const w0 = wOffset + j * wStride;
    const w1 = w0 + wStride;
    let s00 = 0;
    let s01 = 0;
    let s10 = 0;
    let s11 = 0;
    let s20 = 0;
    let s21 = 0;
    let s30 = 0;
    let s31 = 0;
    for (let k = 0; k < depth; k++) {
      const a = w[w0 + k] as number;
      const b = w[w1 + k] as number;
      const p = x[x0 + k] as number;
      const q = x[x1 + k] as number;
      const r = x[x2 + k] as number;
      const s = x[x3 + k] as number;
      s00 += p * a;
      s01 += p * b;
      s10 += q * a;
      s11 += q * b;
      s20 += r * a;
      s21 += r * b;
      s30 += s * a;
      s31 += s * b;
    }
    out[o0 + j] = s00;
    out[o0 + j + 1] = s01;
    out[o1 + j] = s10;
    out[o1 + j + 1] = s11;
    out[o2 + j] = s20;
    out[o2 + j + 1] = s21;
    out[o3 + j] = s30;
    out[o3 + j + 1] = s31;
  }
  if (j < end) {
    const w0 = wOffset + j * wStride;
    out[o0 + j] = dot(x, x0, w, w0, depth);
    out[o1 + j] = dot(x, x1, w, w0, depth);
    out[o2 + j] = dot(x, x2, w, w0, depth);
    out[o3 + j] = dot(x, x3, w, w0, depth);
  }
}

function dotOneRow(
  { data: x, offset: xOffset, stride: xStride }: Rows,
  i: number,
  { data: w, offset: wOffset, stride: wStride }: Rows,
  begin: number,
  end: number,
  { data: out, offset: outOffset, stride: outStride }: Rows,
  depth: number,
): void {
  const x0 = xOffset + i * xStride;
  const o0 = outOffset + i * outStride;
  let j = begin;
  // Eight sums at a time: one alone would wait for its last addition.
  for (; j + 8 <= end; j += 8) {
    const w0 = wOffset + j * wStride;
    const w1 = w0 + wStride;
    const w2 = w1 + wStride;
    const w3 = w2 + wStride;
    const w4 = w3 + wStride;
    const w5 = w4 + wStride;
    const w6 = w5 + wStride;
    const w7 = w6 + wStride;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let s4 = 0;
    let s5 = 0;
    let s6 = 0;
    let s7 = 0;
    for (let k = 0; k < depth; k++) {
      const p = x[x0 + k] as number;
      s0 += p * (w[w0 + k] as number);
      s1 += p * (w[w1 + k] as number);
      s2 += p * (w[w2 + k] as number);
      s3 += p * (w[w3 + k] as number);
      s4 += p * (w[w4 + k] as number);
      s5 += p * (w[w5 + k] as number);
      s6 += p * (w[w6 + k] as number);
      s7 += p * (w[w7 + k] as number);
    }
    out[o0 + j] = s0;
    out[o0 + j + 1] = s1;
    out[o0 + j + 2] = s2;
    out[o0 + j + 3] = s3;
    out[o0 + j + 4] = s4;
    out[o0 + j + 5] = s5;
    out[o0 + j + 6] = s6;
    out[o0 + j + 7] = s7;
  }
  for (; j < end; j++) out[o0 + j] = dot(x, x0, w, wOffset + j * wStride, depth);
}

function dot(x: Float32Array, xAt: number, w: Float32Array, wAt: number, depth: number): number {
  let sum = 0;
  for (let k = 0; k < depth; k++) sum += (x[xAt + k] as number) * (w[wAt + k] as number);
  return sum;
}

/** out[i] += Σ x[i][k] · w[k], over `depth` rows of w with `m` elements: a product with w not transposed. */
export function mixRows(x: Rows, w: Rows, out: Rows, n: number, m: number, depth: number): void {
  for (let i = 0; i < n; i++) {
    const xAt = x.offset + i * x.stride;
    const outAt = out.offset + i * out.stride;
    let k = 0;
    for (; k + 4 <= depth; k += 4) mixFour(x.data, xAt + k, w, k, out.data, outAt, m);
    for (; k < depth; k++) {
      const a = x.data[xAt + k] as number;
      const w0 = w.offset + k * w.stride;
      for (let j = 0; j < m; j++) {
        out.data[outAt + j] = (out.data[outAt + j] as number) + a * (w.data[w0 + j] as number);
      }
    }
  }
}

function mixFour(
  x: Float32Array,
  xAt: number,
  { data: w, offset, stride }: Rows,
  k: number,
  out: Float32Array,
  outAt: number,
  m: number,
): void {
  const a = x[xAt] as number;
  const b = x[xAt + 1] as number;
  const c = x[xAt + 2] as number;
  const d = x[xAt + 3] as number;
  const w0 = offset + k * stride;
  const w1 = w0 + stride;
  const w2 = w1 + stride;
  const w3 = w2 + stride;
  for (let j = 0; j < m; j++) {
    out[outAt + j] =
      (out[outAt + j] as number) +
      a * (w[w0 + j] as number) +
      b * (w[w1 + j] as number) +
      c * (w[w2 + j] as number) +
      d * (w[w3 + j] as number);
  }
}
