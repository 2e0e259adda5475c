import { global, type Ops, type ParamDecls, type ParamValues, type Value } from '@flash-mla/ptx';

/** What restricts the tokens of a row: decides the code. */
export interface RestrictionConfig {
  readonly hasBias: boolean;
  readonly hasAllowed: boolean;
  readonly hasInSequence: boolean;
  readonly hasGenerated: boolean;
  readonly hasRepetition: boolean;
  readonly hasPresence: boolean;
  readonly hasFrequency: boolean;
}

export const restrictionParams = {
  bias: global('f32'),
  allowed: global('u32'),
  inSequence: global('u32'),
  generated: global('s32'),
  repetition: global('f32'),
  presence: global('f32'),
  frequency: global('f32'),
  vocabulary: 'u32',
} as const satisfies ParamDecls;

/** Less than every score. */
export const lowest = Number.NEGATIVE_INFINITY;

/** A row's logits to its scores: bias, allowed tokens and penalties. */
export function restrictionsOf(
  k: Ops,
  config: RestrictionConfig,
  p: ParamValues<typeof restrictionParams>,
  row: Value<'u32'>,
): (logit: Value<'f32'>, token: Value<'u32'>) => Value<'f32'> {
  const first = k.mulWide(row, p.vocabulary);
  const words = k.mulWide(row, p.vocabulary.add(31).shr(5));
  const penalty = (has: boolean, from: typeof p.presence, none: number) =>
    has ? from.at(row).load() : k.constant('f32', none);
  const repetition = penalty(config.hasRepetition, p.repetition, 1);
  const presence = penalty(config.hasPresence, p.presence, 0);
  const frequency = penalty(config.hasFrequency, p.frequency, 0);
  return (logit, token) => {
    const bitOf = (bits: typeof p.allowed) =>
      bits.at(words).at(token.shr(5)).load().shr(token.and(31)).and(1).eq(1);
    let score = logit;
    if (config.hasBias) score = score.add(p.bias.at(first).at(token).load());
    if (config.hasInSequence) {
      const punished = k.select(score.gt(0), k.divRn(score, repetition), score.mul(repetition));
      score = k.select(bitOf(p.inSequence), punished, score);
    }
    if (config.hasGenerated) {
      const count = p.generated.at(first).at(token).load();
      const less = score.sub(presence).sub(k.toF32(count).mul(frequency));
      score = k.select(count.gt(0), less, score);
    }
    return config.hasAllowed ? k.select(bitOf(p.allowed), score, lowest, 'f32') : score;
  };
}
