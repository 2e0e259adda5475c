import type { TokenLogprob, TokenLogprobs } from '../runner/logprobs.ts';

/** The log-probabilities of a token and of the `numTop` likeliest ones; of equal ones the lower token first. */
export function logprobsOf(
  logits: ArrayLike<number>,
  token: number,
  numTop: number,
): TokenLogprobs {
  const normalizer = logSumExp(logits);
  const at = (index: number) => (logits[index] ?? Number.NEGATIVE_INFINITY) - normalizer;
  const top: TokenLogprob[] = [];
  for (let candidate = 0; candidate < logits.length && numTop > 0; candidate++) {
    const logprob = at(candidate);
    if (top.length === numTop && logprob <= (top.at(-1)?.logprob ?? 0)) continue;
    let place = top.length;
    while (place > 0 && logprob > (top[place - 1]?.logprob ?? 0)) place--;
    top.splice(place, 0, { token: candidate, logprob });
    if (top.length > numTop) top.pop();
  }
  return { token, logprob: at(token), top };
}

function logSumExp(logits: ArrayLike<number>): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i] ?? max);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp((logits[i] ?? max) - max);
  return max + Math.log(sum);
}
