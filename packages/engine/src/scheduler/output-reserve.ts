/** The share shrinks to this part of the first one; what a step takes away and a preemption adds. */
const [shrinksTo, decay, jump] = [1 / 7, 0.001, 0.2];
/** Callers that name no limit allow more than they ever use. */
const maxExpected = 4096;

/**
 * How many pages to keep for what running requests will still generate. To keep all that they may
 * generate would leave most of the cache empty; to keep nothing would preempt all the time. The share
 * shrinks while nothing has to be preempted and jumps up when something has. SGLang does it so
 * (`new_token_ratio`); the numbers are near to its own.
 */
export class OutputReserve {
  readonly #least: number;
  #ratio: number;

  /** @param first the share to begin with. */
  constructor(first: number) {
    this.#ratio = first;
    this.#least = first * shrinksTo;
  }

  get ratio(): number {
    return this.#ratio;
  }

  /** Tokens to expect of a request that may generate so many more. */
  expect(remainingTokens: number): number {
    return Math.ceil(Math.min(remainingTokens, maxExpected) * this.#ratio);
  }

  afterStep(): void {
    this.#ratio = Math.max(this.#least, this.#ratio - decay);
  }

  afterPreemption(): void {
    this.#ratio = Math.min(1, this.#ratio + jump);
  }
}
