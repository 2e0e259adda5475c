import type { Ops, Value } from '@flash-mla/ptx';

/** Largest power of two that a scaled row's largest value may reach: twice as much is in f16's range. */
const largestExponent = 14;
const bias = 127;
/** Rows of smaller values are scaled as if they had one of 2^-87: no scale times a 1 / sum overflows. */
const lowest = bias - 87;

/**
 * Results of splits as f16 take half the bytes of f32 both ways. Each row is multiplied by a power of
 * two that brings its largest value to between 2^14 and 2^15, so that none overflows and every value
 * keeps 11 bits or an error of 2^-39 of the largest: an eighth of what rounding the output to bf16 costs.
 *
 * `largest`: the largest magnitude of a row, finite wherever keys are, of which values are a part.
 * Returns the power of two and its inverse.
 */
export function rowScale(
  k: Ops,
  largest: Value<'f32'>,
): { readonly scale: Value<'f32'>; readonly inverse: Value<'f32'> } {
  const exponent = largest
    .as('u32')
    .shr(23)
    .max(lowest)
    .min(2 * bias);
  const power = (biased: Value<'u32'>) => biased.shl(23).as('f32');
  return {
    scale: power(k.constant('u32', 2 * bias + largestExponent).sub(exponent)),
    inverse: power(exponent.sub(largestExponent)),
  };
}
