// Correct rounding to narrow formats out of double arithmetic.
//
// The sum, difference, product, quotient or square root of two f32, computed in double and then
// rounded to f32, is correctly rounded: 53 bits are more than twice 24 plus 2. A fused multiply-add
// is not: its exact result can need more bits. Then the double must not be rounded to the middle
// between two f32 when the exact value lies beside the middle.

const f64 = new Float64Array(1);
const i64 = new Int32Array(f64.buffer);

/**
 * a × b + c in double, where the product is exact, rounded to odd: if digits were lost, the last bit
 * is 1. Rounding that to at most 51 bits gives the correctly rounded result.
 */
export function fmaOdd(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  const part = sum - product;
  const lost = product - (sum - part) + (c - part);
  if (lost === 0 || !Number.isFinite(sum) || Number.isNaN(lost)) return sum;
  f64[0] = sum;
  if (i64[0] & 1) return sum;
  // The double is even: step to its odd neighbour in the direction of what was lost.
  const grows = lost > 0 === sum > 0;
  if (grows) {
    i64[0] |= 1;
  } else {
    if (i64[0] === 0) i64[1] -= 1;
    i64[0] -= 1;
  }
  return f64[0];
}

/** a × b + c of f32 values, rounded to f32 once. */
export function fma32(a: number, b: number, c: number): number {
  const sum = a * b + c;
  const rounded = Math.fround(sum);
  // Only a double in the middle between two f32 (its mirror image is one as well) can be wrong.
  const mirrored = sum + (sum - rounded);
  if (Math.fround(mirrored) === mirrored && mirrored !== rounded) {
    return Math.fround(fmaOdd(a, b, c));
  }
  return rounded;
}
