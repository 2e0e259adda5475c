import type { Operand } from './fragments.ts';

/** The biased exponent of an f32 pattern; 0 for zero and subnormals. */
const exponent = (pattern: number): number => (pattern >>> 23) & 0xff;

/** How precisely a tensor core sums. */
export interface SumBits {
  /** Bits of a summand that are kept below the largest exponent. */
  readonly kept: number;
  /** Bits of the result's fraction that are kept, up to the 23 of f32. */
  readonly fraction: number;
}

const result = new Float32Array(1);
const resultBits = new Int32Array(result.buffer);

/**
 * A sum as tensor cores compute it: the products of the lines of A and B that start at x and y, at
 * these places of the depth, and an addend. Each is cut off (towards zero) `kept` bits below the
 * largest exponent among them, where the exponent of a product is the sum of its factors' exponents
 * and that of a subnormal addend is the least of f32, -126; their sum is exact and cut off to f32 of
 * so many bits of fraction.
 */
export function cutSum(
  a: Operand,
  x: number,
  b: Operand,
  y: number,
  places: readonly number[],
  addend: number,
  { kept, fraction }: SumBits,
): number {
  result[0] = addend;
  const [addendBits] = resultBits;
  let top = addend === 0 ? 0 : Math.max(exponent(addendBits), 1) + 127;
  let finite = exponent(addendBits) < 255;
  for (const k of places) {
    const [p, q] = [exponent(a.bits[x + k]), exponent(b.bits[y + k])];
    if (p === 255 || q === 255) finite = false;
    if (p !== 0 && q !== 0 && p + q > top) top = p + q;
  }
  if (!finite) {
    let sum = addend;
    for (const k of places) sum += a.single[x + k] * b.single[y + k];
    return Math.fround(sum);
  }
  // Exponents of products are biased by 254.
  const unit = 2 ** (top - 254 - kept);
  let sum = Math.trunc(addend / unit);
  for (const k of places) sum += Math.trunc((a.single[x + k] * b.single[y + k]) / unit);
  const exact = sum * unit;
  result[0] = exact;
  if (Math.abs(result[0]) > Math.abs(exact)) resultBits[0]--;
  resultBits[0] &= -1 << (23 - fraction);
  return result[0];
}
