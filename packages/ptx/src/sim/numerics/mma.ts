import { accumulatorPlace, gather, type MatrixInput, operand } from './fragments.ts';

const aFragment = operand(16);
const bFragment = operand(8);
// Element (row, k) of A at row·depth + k, element (k, column) of B at column·depth + k.
const a = new Float64Array(aFragment.single.length);
const b = new Float64Array(bFragment.single.length);
const sums = new Float64Array(16 * 8);
const shortA = aFragment.single.subarray(0, 16 * 16);
const shortB = bFragment.single.subarray(0, 8 * 16);

/**
 * D = A × B + C of one warp, as exactly as f32 allows: products are exact and summed in double, and
 * the sum with C is rounded to f32 once. Tensor cores cut summands off instead (see `mma_h200.ts`),
 * so that their result may differ by about 2^-22 of the largest |product| or |C| involved.
 */
export function multiply(
  kind: MatrixInput,
  I: Int32Array,
  F: Float32Array,
  d: readonly number[],
  s: readonly number[],
): void {
  const deep = kind === 'e4m3';
  const depth = deep ? 32 : 16;
  gather(kind, I, s, aFragment, bFragment);
  a.set(deep ? aFragment.single : shortA);
  b.set(deep ? bFragment.single : shortB);
  for (let row = 0; row < 16; row += 2) {
    dotBlock(row, 0, depth);
    dotBlock(row, 4, depth);
  }
  for (let r = 0; r < 4; r++) {
    const into = d[r];
    const from = s[6 + r];
    for (let l = 0; l < 32; l++) {
      const value = sums[accumulatorPlace(r, l)] + F[from + l];
      F[into + l] = value;
      if (Number.isNaN(value)) I[into + l] = 0x7fffffff;
    }
  }
}

/** The sums of products for two rows and four columns: few loads for many products. */
function dotBlock(row: number, column: number, depth: number): void {
  const a0 = row * depth;
  const a1 = a0 + depth;
  const b0 = column * depth;
  const b1 = b0 + depth;
  const b2 = b1 + depth;
  const b3 = b2 + depth;
  let [s00, s01, s02, s03, s10, s11, s12, s13] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let k = 0; k < depth; k++) {
    const x = a[a0 + k];
    const y = a[a1 + k];
    const u0 = b[b0 + k];
    const u1 = b[b1 + k];
    const u2 = b[b2 + k];
    const u3 = b[b3 + k];
    s00 += x * u0;
    s01 += x * u1;
    s02 += x * u2;
    s03 += x * u3;
    s10 += y * u0;
    s11 += y * u1;
    s12 += y * u2;
    s13 += y * u3;
  }
  const at = row * 8 + column;
  sums[at] = s00;
  sums[at + 1] = s01;
  sums[at + 2] = s02;
  sums[at + 3] = s03;
  sums[at + 8] = s10;
  sums[at + 9] = s11;
  sums[at + 10] = s12;
  sums[at + 11] = s13;
}
