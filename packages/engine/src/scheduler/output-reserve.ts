/** Share of the allowed output that running requests are expected to need. */
const [first, last, jump] = [0.7, 0.1, 0.2];
const stepsToLast = 600;
/** Callers that name no limit allow more than they ever use. */
const maxExpected = 4096;

/**
 * How many pages to keep for what running requests will still generate. To keep all that they may
 * generate would leave most of the cache empty; to keep nothing would preempt all the time. The share
 * shrinks while nothing has to be preempted and jumps up when something has. SGLang does it so
 * (`new_token_ratio`); the numbers are near to its own.
 */
export class OutputReserve {
  #ratio = first;

  get ratio(): number {
    return this.#ratio;
  }

  /** Tokens to expect of a request that may generate so many more. */
  expect(remainingTokens: number): number {
    return Math.ceil(Math.min(remainingTokens, maxExpected) * this.#ratio);
  }

  afterStep(): void {
    this.#ratio = Math.max(last, this.#ratio - (first - last) / stepsToLast);
  }

  afterPreemption(): void {
    this.#ratio = Math.min(1, this.#ratio + jump);
  }
}
