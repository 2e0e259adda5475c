/**
 * The two products of attention in float64. Both work on tiles of two queries by four keys, so that
 * each value read from memory serves several multiplications: about 3 GFLOP/s in plain JavaScript.
 */

/** Keys that stay in the cache while all queries pass over them. */
const keyBlock = 32;

/** logits[i·n + j] = scale · Σ_c queries[i·d + c] · keys[j·d + c] for m queries and n keys. */
export function scaledProducts(
  queries: Float64Array,
  keys: Float64Array,
  m: number,
  n: number,
  d: number,
  scale: number,
  logits: Float64Array,
): void {
  for (let block = 0; block < n; block += keyBlock) {
    const end = Math.min(n, block + keyBlock);
    for (let i = 0; i < m; i += 2) {
      const paired = i + 1 < m;
      const q0 = i * d;
      const q1 = paired ? q0 + d : q0;
      for (let j = block; j < end; j += 4) {
        const k0 = j * d;
        const k1 = j + 1 < end ? k0 + d : k0;
        const k2 = j + 2 < end ? k0 + 2 * d : k0;
        const k3 = j + 3 < end ? k0 + 3 * d : k0;
        let s00 = 0;
        let s01 = 0;
        let s02 = 0;
        let s03 = 0;
        let s10 = 0;
        let s11 = 0;
        let s12 = 0;
        let s13 = 0;
        for (let c = 0; c < d; c++) {
          const a0 = queries[q0 + c] as number;
          const a1 = queries[q1 + c] as number;
          const b0 = keys[k0 + c] as number;
          const b1 = keys[k1 + c] as number;
          const b2 = keys[k2 + c] as number;
          const b3 = keys[k3 + c] as number;
          s00 += a0 * b0;
          s01 += a0 * b1;
          s02 += a0 * b2;
          s03 += a0 * b3;
          s10 += a1 * b0;
          s11 += a1 * b1;
          s12 += a1 * b2;
          s13 += a1 * b3;
        }
        const row = i * n + j;
        logits[row] = scale * s00;
        if (j + 1 < end) logits[row + 1] = scale * s01;
        if (j + 2 < end) logits[row + 2] = scale * s02;
        if (j + 3 < end) logits[row + 3] = scale * s03;
        if (!paired) continue;
        logits[row + n] = scale * s10;
        if (j + 1 < end) logits[row + n + 1] = scale * s11;
        if (j + 2 < end) logits[row + n + 2] = scale * s12;
        if (j + 3 < end) logits[row + n + 3] = scale * s13;
      }
    }
  }
}

/**
 * out[i·dv + c] = Σ_j weights[i·n + j] · values[j·stride + c] for m queries, n keys and dv columns.
 * `out` is overwritten.
 */
export function weightedSums(
  weights: Float64Array,
  values: Float64Array,
  m: number,
  n: number,
  stride: number,
  dv: number,
  out: Float64Array,
): void {
  out.fill(0);
  for (let block = 0; block < n; block += keyBlock) {
    const end = Math.min(n, block + keyBlock);
    for (let i = 0; i < m; i += 2) {
      const paired = i + 1 < m;
      const o0 = i * dv;
      const o1 = o0 + dv;
      const w0 = i * n;
      const w1 = w0 + n;
      let j = block;
      for (; paired && j + 3 < end; j += 4) {
        const p00 = weights[w0 + j] as number;
        const p01 = weights[w0 + j + 1] as number;
        const p02 = weights[w0 + j + 2] as number;
        const p03 = weights[w0 + j + 3] as number;
        const p10 = weights[w1 + j] as number;
        const p11 = weights[w1 + j + 1] as number;
        const p12 = weights[w1 + j + 2] as number;
        const p13 = weights[w1 + j + 3] as number;
        const v0 = j * stride;
        const v1 = v0 + stride;
        const v2 = v1 + stride;
        const v3 = v2 + stride;
        for (let c = 0; c < dv; c++) {
          const b0 = values[v0 + c] as number;
          const b1 = values[v1 + c] as number;
          const b2 = values[v2 + c] as number;
          const b3 = values[v3 + c] as number;
          out[o0 + c] = (out[o0 + c] as number) + p00 * b0 + p01 * b1 + p02 * b2 + p03 * b3;
          out[o1 + c] = (out[o1 + c] as number) + p10 * b0 + p11 * b1 + p12 * b2 + p13 * b3;
        }
      }
      for (; j < end; j++) {
        const v = j * stride;
        const p0 = weights[w0 + j] as number;
        for (let c = 0; c < dv; c++) {
          out[o0 + c] = (out[o0 + c] as number) + p0 * (values[v + c] as number);
        }
        if (!paired) continue;
        const p1 = weights[w1 + j] as number;
        for (let c = 0; c < dv; c++) {
          out[o1 + c] = (out[o1 + c] as number) + p1 * (values[v + c] as number);
        }
      }
    }
  }
}
