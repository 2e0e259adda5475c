import { e4m3Value } from './float.ts';
import { f16Value } from './half.ts';

/** Input types of a warp's matrix multiplication. */
type Kind = 'f16' | 'bf16' | 'e4m3';

// The operands as numbers: element (row, k) of A at row·depth + k, element (k, column) of B at
// column·depth + k. Both are decoded into single precision, where patterns can be stored as they
// are, and widened from there in one go.
const aSingle = new Float32Array(16 * 32);
const bSingle = new Float32Array(8 * 32);
const aBits = new Int32Array(aSingle.buffer);
const bBits = new Int32Array(bSingle.buffer);
const a = new Float64Array(aSingle.length);
const b = new Float64Array(bSingle.length);
const sums = new Float64Array(16 * 8);
const [aHalf, bHalf] = [aSingle.subarray(0, 256), bSingle.subarray(0, 128)];

/**
 * D = A × B + C of one warp, in place of the tensor core.
 *
 * Products are exact and summed in double, and the sum with C is rounded to f32 once. The hardware
 * sums products in groups with fewer bits and truncates, so its result may differ by about
 * 2^-22 of the largest |product| or |C| involved (see `golden/matrix.ts` for the bound used).
 */
export function multiply(
  kind: Kind,
  I: Int32Array,
  F: Float32Array,
  d: readonly number[],
  s: readonly number[],
): void {
  const narrow = kind === 'e4m3';
  const depth = narrow ? 32 : 16;
  for (let r = 0; r < 6; r++) {
    // A's registers 0–3 hold rows l/4 and l/4 + 8 (odd), B's 4 and 5 column l/4; the second half
    // of the depth is in 2, 3 and 5.
    const isA = r < 4;
    const half = isA ? r >> 1 : r - 4;
    const line = isA ? (r & 1) * 8 : 0;
    const single = isA ? aSingle : bSingle;
    const first = line * depth + (half * depth) / 2;
    if (narrow) decodeE4m3(I, s[r], single, first);
    else if (kind === 'bf16') decodeBf16(I, s[r], isA ? aBits : bBits, first);
    else decodeF16(I, s[r], single, first);
  }
  a.set(narrow ? aSingle : aHalf);
  b.set(narrow ? bSingle : bHalf);
  for (let row = 0; row < 16; row += 2) {
    dotBlock(row, 0, depth);
    dotBlock(row, 4, depth);
  }
  for (let r = 0; r < 4; r++) {
    const into = d[r];
    const from = s[6 + r];
    for (let l = 0; l < 32; l++) {
      const value = sums[((l >> 2) + (r >> 1) * 8) * 8 + (l & 3) * 2 + (r & 1)] + F[from + l];
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

// Lane l holds line l/4 and, of each half of the depth, quarter l mod 4.

function decodeBf16(I: Int32Array, register: number, bits: Int32Array, first: number): void {
  for (let l = 0; l < 32; l++) {
    const word = I[register + l];
    const at = first + (l >> 2) * 16 + (l & 3) * 2;
    bits[at] = word << 16;
    bits[at + 1] = word & 0xffff0000;
  }
}

function decodeF16(I: Int32Array, register: number, single: Float32Array, first: number): void {
  for (let l = 0; l < 32; l++) {
    const word = I[register + l];
    const at = first + (l >> 2) * 16 + (l & 3) * 2;
    single[at] = f16Value(word & 0xffff);
    single[at + 1] = f16Value(word >>> 16);
  }
}

function decodeE4m3(I: Int32Array, register: number, single: Float32Array, first: number): void {
  for (let l = 0; l < 32; l++) {
    const word = I[register + l];
    const at = first + (l >> 2) * 32 + (l & 3) * 4;
    for (let i = 0; i < 4; i++) single[at + i] = e4m3Table[(word >>> (8 * i)) & 0xff];
  }
}

const e4m3Table = Float32Array.from({ length: 256 }, (_, code) => e4m3Value(code));
