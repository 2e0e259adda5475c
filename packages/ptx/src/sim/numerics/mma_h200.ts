import { cutSum, type SumBits } from './cut-sum.ts';
import { accumulatorPlace, gather, type MatrixInput, operand } from './fragments.ts';

const a = operand(16);
const b = operand(8);
/** The accumulator, rows of 8. */
const c = new Float32Array(16 * 8);

/** Products and accumulator are kept to so many bits below the largest exponent among them. */
const sumBits: SumBits = { kept: 25, fraction: 23 };

const range = Array.from({ length: 32 }, (_, k) => k);
/** Places in the depth of the products that are added at once. */
const wholeDepth = range.slice(0, 16);
// An H200 has no e4m3 in this instruction: it converts to f16 and multiplies twice, the lower two
// elements of all registers and then the upper two.
const lowerPairs = range.filter((k) => (k & 3) < 2);
const upperPairs = range.filter((k) => (k & 3) >= 2);

/**
 * D = A × B + C of one warp, bit for bit as an H200 computes it: 16 products and the accumulator are
 * one sum of {@link cutSum}. For e4m3, two such sums start from zero and C is added to their result.
 * Slower than `mma.ts`.
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
      const [x, y] = [row * depth, column * depth];
      c[at] = cutSum(a, x, b, y, deep ? lowerPairs : wholeDepth, c[at], sumBits);
      if (deep) c[at] = cutSum(a, x, b, y, upperPairs, c[at], sumBits);
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
