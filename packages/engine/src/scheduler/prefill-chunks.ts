/** A prompt of which some tokens are in no step yet. */
export interface PartialPrompt {
  /** The first such token. */
  readonly start: number;
  readonly remaining: number;
}

/**
 * Shares a step's tokens among prompts: equal parts, and what a short prompt leaves goes to the longer
 * ones. So short prompts pass long ones and long ones still move on. Chunks end at page borders, or with
 * the prompt.
 *
 * @returns the length of each prompt's chunk, in the order of the prompts; 0 for none.
 */
export function shareTokens(
  prompts: readonly PartialPrompt[],
  budget: number,
  pageSize: number,
): number[] {
  const lengths = prompts.map(() => 0);
  const byLength = [...prompts.entries()].sort(([, a], [, b]) => a.remaining - b.remaining);
  let left = budget;
  for (const [rank, [i, { remaining }]] of byLength.entries()) {
    const share = left / (byLength.length - rank);
    // At least a page, if there is one: a share of less would move nobody.
    const whole = Math.max(Math.floor(share / pageSize), left >= pageSize ? 1 : 0) * pageSize;
    const length = remaining <= Math.max(share, whole) ? remaining : whole;
    lengths[i] = length;
    left -= length;
  }
  // What the page borders have left over.
  for (const [i, { remaining }] of byLength) {
    const length = lengths[i] ?? 0;
    const rest = remaining - length;
    const more = rest <= left ? rest : Math.floor(left / pageSize) * pageSize;
    lengths[i] = length + more;
    left -= more;
  }
  return lengths;
}

/**
 * The same for deterministic mode: prompts in their order, each to the next multiple of `chunk` or not at
 * all. Where a prompt is cut depends on nothing but its own length.
 */
export function alignedChunks(
  prompts: readonly PartialPrompt[],
  budget: number,
  chunk: number,
): number[] {
  let left = budget;
  return prompts.map(({ start, remaining }) => {
    const length = Math.min(remaining, chunk - (start % chunk));
    if (length > left) return 0;
    left -= length;
    return length;
  });
}
