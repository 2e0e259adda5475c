import type { Operand } from './fragments.ts';

/** The biased exponent of an f32 pattern; 0 for zero. */
const exponent = (pattern: number): number => (pattern >>> 23) & 0xff;

const result = new Float32Array(1);
const resultBits = new Int32Array(result.buffer);

/**
 * A sum as tensor cores compute it: the products of the lines of A and B that start at x and y, at
 * these places of the depth, and an addend. Each is cut off (towards zero) `kept` bits below the
 * largest exponent among them, where the exponent of a product is the sum of its factors' exponents;
 * their sum is exact and cut off to f32.
 */
export function cutSum(
  a: Operand,
  x: number,
  b: Operand,
  y: number,
  places: readonly number[],
  addend: number,
  kept: number,
): number {
  result[0] = addend;
  const [addendBits] = resultBits;
  let top = addend === 0 ? 0 : exponent(addendBits) + 127;
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
  return result[0];
}
