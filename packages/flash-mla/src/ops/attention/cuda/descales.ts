import type { Ops, Pointer, Value } from '@flash-mla/ptx';

type Factor = Pointer<'global', 'f32'>;

/** The factor that a pointer leads to; 1 where there is none. */
export function oneUnlessGiven(k: Ops, pointer: Factor): Value<'f32'> {
  const factor = k.var('f32', 1);
  k.if(pointer.address().ne(0), () => factor.set(pointer.load()));
  return factor;
}

/** The smallest normal float32. */
const smallest = 2 ** -126;

/**
 * What stored logits are scaled by. Descales may be 0 (a cache of zeros is quantized with 0 / 448), but
 * the product must not be: a masked logit is −∞, and 0 times that is NaN.
 */
export function descaledScale(
  k: Ops,
  p: { readonly scale: Value<'f32'>; readonly descaleQ: Factor; readonly descaleK: Factor },
): Value<'f32'> {
  const scale = p.scale.mul(oneUnlessGiven(k, p.descaleQ)).mul(oneUnlessGiven(k, p.descaleK));
  return scale.max(smallest);
}
