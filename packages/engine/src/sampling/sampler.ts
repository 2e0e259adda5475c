import type { TokenLogprobs } from '../runner/logprobs.ts';
import type { SlotStart } from '../runner/model-runner.ts';
import { allows, type TokenMask } from '../runner/token-mask.ts';
import { logprobsOf } from './logprobs-of.ts';
import { randomAt } from './random-number.ts';

export interface Sampled {
  readonly token: number;
  readonly logprobs: TokenLogprobs | undefined;
}

const impossible = Number.NEGATIVE_INFINITY;

/**
 * Draws the tokens of one row, in float64 and in the order that `SamplingParams` says: the definition
 * for samplers on a device, and one for runners that have the logits on the host. Make one for each
 * `SlotStart`.
 */
export class Sampler {
  readonly #start: SlotStart;
  readonly #inSequence = new Set<number>();
  readonly #numGenerated = new Map<number, number>();
  readonly #ownSeed = Math.floor(Math.random() * 2 ** 48);

  constructor(start: SlotStart) {
    this.#start = start;
    for (const [i, token] of start.tokens.entries()) this.#count(token, i >= start.promptLength);
  }

  /**
   * The token at `position`, which is one behind the last token computed.
   *
   * @param logits one for each token; it stays as it is.
   */
  sample(logits: ArrayLike<number>, position: number, mask?: TokenMask): Sampled {
    const { sampling } = this.#start;
    const scores = Float64Array.from(logits);
    this.#restrict(scores, position, mask);
    this.#penalize(scores);
    const token = sampling.temperature === 0 ? likeliest(scores) : this.#draw(scores, position);
    this.#count(token, true);
    const { logprobs: numTop } = sampling;
    return {
      token,
      logprobs: numTop === undefined ? undefined : logprobsOf(logits, token, numTop),
    };
  }

  #count(token: number, isGenerated: boolean): void {
    this.#inSequence.add(token);
    if (isGenerated) this.#numGenerated.set(token, (this.#numGenerated.get(token) ?? 0) + 1);
  }

  #restrict(scores: Float64Array, position: number, mask: TokenMask | undefined): void {
    const { sampling, suppressed } = this.#start;
    for (const [token, bias] of sampling.logitBias ?? []) {
      if (token < scores.length) scores[token] = (scores[token] ?? 0) + bias;
    }
    const allowed = sampling.allowedTokens && new Set(sampling.allowedTokens);
    for (let token = 0; token < scores.length; token++) {
      if (allowed?.has(token) === false || (mask && !allows(mask, token)))
        scores[token] = impossible;
    }
    if (suppressed === undefined || position >= suppressed.before) return;
    for (const token of suppressed.tokens) if (token < scores.length) scores[token] = impossible;
  }

  #penalize(scores: Float64Array): void {
    const {
      frequencyPenalty = 0,
      presencePenalty = 0,
      repetitionPenalty = 1,
    } = this.#start.sampling;
    if (repetitionPenalty !== 1) {
      for (const token of this.#inSequence) {
        const score = scores[token];
        if (score !== undefined)
          scores[token] = score > 0 ? score / repetitionPenalty : score * repetitionPenalty;
      }
    }
    if (frequencyPenalty === 0 && presencePenalty === 0) return;
    for (const [token, count] of this.#numGenerated) {
      const score = scores[token];
      if (score !== undefined) scores[token] = score - presencePenalty - count * frequencyPenalty;
    }
  }

  #draw(scores: Float64Array, position: number): number {
    const {
      minP = 0,
      seed = this.#ownSeed,
      temperature,
      topK = 0,
      topP = 1,
    } = this.#start.sampling;
    const order = Array.from(scores.keys()).filter((token) => (scores[token] ?? 0) > impossible);
    order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
    if (topK > 0) order.length = Math.min(order.length, topK);
    const best = scores[order[0] ?? 0] ?? 0;
    const weights = order.map((token) => Math.exp(((scores[token] ?? 0) - best) / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let [kept, mass] = [0, 0];
    // A token stays as long as those before it do not reach top p by themselves.
    while (kept < weights.length && (kept === 0 || mass < topP * total)) {
      const weight = weights[kept] ?? 0;
      if (kept > 0 && weight < minP) break;
      mass += weight;
      kept++;
    }
    let rest = randomAt(seed, position) * mass;
    for (let i = 0; i < kept; i++) {
      rest -= weights[i] ?? 0;
      if (rest < 0) return order[i] ?? 0;
    }
    return order[kept - 1] ?? 0;
  }
}

function likeliest(scores: Float64Array): number {
  let best = 0;
  for (let token = 1; token < scores.length; token++) {
    if ((scores[token] ?? impossible) > (scores[best] ?? impossible)) best = token;
  }
  return best;
}
