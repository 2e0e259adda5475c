import { accumulatorPlace, gather, type MatrixInput, operand } from './fragments.ts';

const a = operand(16);
const b = operand(8);
/** The accumulator, rows of 8. */
const c = new Float32Array(16 * 8);
const cBits = new Int32Array(c.buffer);

/** Products and accumulator are kept to so many bits below the largest exponent among them. */
const keptBits = 25;

const range = Array.from({ length: 32 }, (_, k) => k);
/** Places in the depth of the products that are added at once. */
const wholeDepth = range.slice(0, 16);
// An H200 has no e4m3 in this instruction: it converts to f16 and multiplies twice, the lower two
// elements of all registers and then the upper two.
const lowerPairs = range.filter((k) => (k & 3) < 2);
const upperPairs = range.filter((k) => (k & 3) >= 2);

/**
 * D = A × B + C of one warp, bit for bit as an H200 computes it. Of 16 products and the accumulator,
 * each is cut off (towards zero) 25 bits below the largest exponent among them, where the exponent of
 * a product is the sum of its factors' exponents; their sum is exact and cut off to f32. For e4m3,
 * two such steps start from zero and C is added to their result. Slower than `mma.ts`.
 */
export function multiplyH200(
  kind: MatrixInput,
  I: Int32Array,
  F: Float32Array,
  d: readonly number[],
  s: readonly number[],
): void {
  const deep = kind === 'e4m3';
  const depth = deep ? 32 : 16;
  gather(kind, I, s, a, b);
  for (let r = 0; r < 4; r++) {
    for (let l = 0; l < 32; l++) c[accumulatorPlace(r, l)] = deep ? 0 : F[s[6 + r] + l];
  }
  for (let row = 0; row < 16; row++) {
    for (let column = 0; column < 8; column++) {
      const at = row * 8 + column;
      addGroup(row * depth, column * depth, deep ? lowerPairs : wholeDepth, at);
      if (deep) addGroup(row * depth, column * depth, upperPairs, at);
    }
  }
  for (let r = 0; r < 4; r++) {
    for (let l = 0; l < 32; l++) {
      const product = c[accumulatorPlace(r, l)];
      const value = deep ? product + F[s[6 + r] + l] : product;
      F[d[r] + l] = value;
      if (Number.isNaN(value)) I[d[r] + l] = 0x7fffffff;
    }
  }
}

/** The biased exponent of an f32 pattern; 0 for zero. */
const exponent = (pattern: number): number => (pattern >>> 23) & 0xff;

/** Adds products of the lines of A and B that start at x and y to element `at`. */
function addGroup(x: number, y: number, places: readonly number[], at: number): void {
  let top = c[at] === 0 ? 0 : exponent(cBits[at]) + 127;
  let finite = exponent(cBits[at]) < 255;
  for (const k of places) {
    const [p, q] = [exponent(a.bits[x + k]), exponent(b.bits[y + k])];
    if (p === 255 || q === 255) finite = false;
    if (p !== 0 && q !== 0 && p + q > top) top = p + q;
  }
  if (!finite) {
    let sum = c[at];
    for (const k of places) sum += a.single[x + k] * b.single[y + k];
    c[at] = sum;
    return;
  }
  // Exponents of products are biased by 254.
  const unit = 2 ** (top - 254 - keptBits);
  let sum = Math.trunc(c[at] / unit);
  for (const k of places) sum += Math.trunc((a.single[x + k] * b.single[y + k]) / unit);
  const exact = sum * unit;
  c[at] = exact;
  if (Math.abs(c[at]) > Math.abs(exact)) cBits[at]--;
}
