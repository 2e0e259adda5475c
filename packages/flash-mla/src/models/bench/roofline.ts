import { cacheValuesPerToken, type ModelConfig, parametersOf } from '@flash-mla/models';

const bf16 = 2;

/** What a step cannot do without, by the shapes alone. */
export interface StepCost {
  /** Weights that are read once, and what is cached of every sequence. */
  readonly bytes: number;
  /** Multiplications and additions of the matrix products, attention left out. */
  readonly flops: number;
}

/**
 * The cost of `tokens` new tokens behind `context` cached ones in each of `b` sequences. Of the experts
 * those count that so many tokens choose if they choose evenly and on their own.
 */
export function stepCost(
  config: ModelConfig,
  b: number,
  tokens: number,
  context: number,
): StepCost {
  const { embedding, head, total, routedExperts } = parametersOf(config);
  const rows = b * tokens;
  const { topK = 1 } = config.moe?.routing ?? {};
  const experts = config.moe?.numExperts ?? 1;
  const chosen = 1 - (1 - topK / experts) ** rows;
  const headSize = head > 0 ? head : embedding;
  const others = total - embedding - head - routedExperts;
  const weights = others + headSize + chosen * routedExperts;
  const cached = b * (context + tokens) * cacheValuesPerToken(config);
  // Only the last token of a sequence goes through the head.
  const products = rows * (others + (routedExperts * topK) / experts) + b * headSize;
  return { bytes: bf16 * (weights + cached), flops: 2 * products };
}
