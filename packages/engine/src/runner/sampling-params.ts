/**
 * How a token is drawn. The engine hands it to the runner as it is. What comes first is applied first:
 * bias, the tokens that are allowed, penalties, temperature, top k, top p, min p.
 */
export interface SamplingParams {
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  /** Only so many of the likeliest tokens; 0 means all. */
  readonly topK?: number;
  /** Only the likeliest tokens whose probabilities add up to this. */
  readonly topP?: number;
  /** Only tokens at least this likely, relative to the likeliest one. */
  readonly minP?: number;
  /** What is drawn depends on the seed and the position alone. Choice i of a request gets seed + i. */
  readonly seed?: number;
  /** Added to a token's logit: pairs of a token and a number. */
  readonly logitBias?: readonly (readonly [token: number, bias: number])[];
  /** Only these tokens. */
  readonly allowedTokens?: readonly number[];
  /** Divides the logits above 0 of every token in the sequence, multiplies those below. 1 is none. */
  readonly repetitionPenalty?: number;
  /** Taken off the logit of every generated token, once. */
  readonly presencePenalty?: number;
  /** Taken off the logit of every generated token, as often as it was generated. */
  readonly frequencyPenalty?: number;
  /** Report the log-probability of what is sampled, and so many of the likeliest tokens beside it. */
  readonly logprobs?: number;
}
