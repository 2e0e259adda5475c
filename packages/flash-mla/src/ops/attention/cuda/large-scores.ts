import type { Ops, Value, Var } from '@flash-mla/ptx';

/** Where float32 begins to count in steps of 2: the product of a score and the scale is rounded by up to 1/2 below. */
const firstLarge = 2 ** 24;

/** A row's scores, which become weights 2^(score · scale + base). */
export interface ScoredRow {
  readonly scores: readonly Var<'f32'>[];
  /** The running maximum, negated; 0 while that is −inf. */
  readonly base: Value<'f32'>;
}

/** Whether a row's running maximum is so large that {@link takeDifferences} must replace its scores. */
export const isLarge = (base: Value<'f32'>): Value<'pred'> => base.abs().ge(firstLarge);

/** What a step knows of a row before its weights. */
export interface RaisedRow {
  readonly base: Value<'f32'>;
  /** Whether the running maximum was raised. */
  readonly rises: Value<'pred'>;
}

/**
 * Whether any row of the warp needs more than weights: outputs that are rescaled, or {@link takeDifferences}. Few
 * blocks are such; one vote asks for both.
 */
export function isRare(k: Ops, rows: readonly RaisedRow[]): Value<'pred'> {
  const magnitudes: readonly Value<'f32'>[] = rows.map(({ base }) => base.abs());
  const largest = magnitudes.reduce((a, b) => a.max(b));
  return k.any(rows.map(({ rises }) => rises).reduce((a, b) => a.or(b), largest.ge(firstLarge)));
}

/**
 * Keeps weights in range whatever the size of scores; returns the bases to be used.
 *
 * A fused multiply-add computes score · scale + base with one rounding. The running maximum in `base` was rounded
 * before. So the largest score's exponent is not 0 but that rounding: at 4·10⁸, up to 16, and the weight is infinite
 * in f16. Such rows get rounded products here, of which the largest is the running maximum exactly: scores are
 * replaced by their differences from it, divided by the scale, and the base by 0. What these weights are off by is what
 * rounding the logits themselves to float32 takes. No row of a warp is that large but in rare problems: `when`
 * is the same in all lanes, and true if any of theirs is.
 */
export function takeDifferences(
  k: Ops,
  rows: readonly ScoredRow[],
  scale: Value<'f32'>,
  when: Value<'pred'>,
): readonly Value<'f32'>[] {
  const bases = rows.map(({ base }) => k.var('f32', base));
  k.if(
    when,
    () => {
      const inverse = k.rcp(scale);
      rows.forEach(({ scores }, r) => {
        const base = k.copy<'f32'>(bases[r]);
        const own = isLarge(base);
        for (const s of scores) {
          const difference = s.mul(scale).add(base);
          s.set(k.select<'f32'>(own, difference.mul(inverse), s));
        }
        bases[r].set(k.select<'f32'>(own, 0, base));
      });
    },
    { uniform: true },
  );
  return bases;
}
