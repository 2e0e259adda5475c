/** How likely a token was, by the model's own logits: before bias, penalties and temperature. */
export interface TokenLogprob {
  readonly token: number;
  /** Natural logarithm; -Infinity for an impossible token. */
  readonly logprob: number;
}

/** Of a token that was sampled, and of the likeliest ones in its place, in falling order. */
export interface TokenLogprobs extends TokenLogprob {
  readonly top: readonly TokenLogprob[];
}
