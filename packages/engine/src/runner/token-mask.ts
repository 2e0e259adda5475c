/** One bit for each token, bit t & 31 of word t >> 5: 1 where the token may be sampled. */
export type TokenMask = Int32Array;

/** The masks of a step by slot; a slot that is not in it may sample every token. */
export type StepMasks = ReadonlyMap<number, TokenMask>;

/**
 * What restricts the text of one sequence: a grammar, for instance. It lives as long as its request, over
 * preemptions too.
 */
export interface TokenConstraint {
  /** What may come next; undefined allows everything. A rejection ends the request with an error. */
  mask(): TokenMask | undefined | Promise<TokenMask | undefined>;
  /** The sequence has got a token. */
  accept(token: number): void;
  /** The request has ended: nobody asks any more. */
  close?(): void;
}

export function allows(mask: TokenMask, token: number): boolean {
  return (((mask[token >> 5] ?? 0) >>> (token & 31)) & 1) === 1;
}
