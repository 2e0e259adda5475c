import type { SamplingParams } from '../runner/sampling-params.ts';
import { invalid, token } from './invalid.ts';

/** The largest finite float32: what a runner adds to logits has to be one. */
const huge = 3.4e38;
const maxListed = 65_536;

/** @throws InvalidRequestError for parameters that no sampler could follow. */
export function checkSampling(id: string, sampling: SamplingParams): void {
  const check = (name: string, value: unknown, [min, max]: [number, number], isWhole = false) => {
    if (value === undefined) return;
    const isNumber = typeof value === 'number' && value >= min && value <= max;
    if (!isNumber || (isWhole && !Number.isInteger(value)))
      throw invalid(
        id,
        name,
        `${isWhole ? 'an integer' : 'a number'} from ${min} to ${max}`,
        value,
      );
  };
  const checkCount = (name: string, list: readonly unknown[]) =>
    check(`${name}.length`, list.length, [0, maxListed], true);
  check('temperature', sampling.temperature ?? Number.NaN, [0, huge]);
  check('topK', sampling.topK, [0, token.max], true);
  check('topP', sampling.topP, [0, 1]);
  check('minP', sampling.minP, [0, 1]);
  check('seed', sampling.seed, [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER], true);
  check('repetitionPenalty', sampling.repetitionPenalty, [1e-6, 1e6]);
  check('presencePenalty', sampling.presencePenalty, [-huge, huge]);
  check('frequencyPenalty', sampling.frequencyPenalty, [-huge, huge]);
  check('logprobs', sampling.logprobs, [0, 1000], true);
  const { logitBias = [], allowedTokens } = sampling;
  checkCount('logitBias', logitBias);
  for (const [biased, bias] of logitBias) {
    check('logitBias', biased, [token.min, token.max], true);
    check('logitBias', bias, [-huge, huge]);
  }
  if (allowedTokens === undefined) return;
  checkCount('allowedTokens', allowedTokens);
  if (allowedTokens.length === 0) throw invalid(id, 'allowedTokens', 'at least one token', 'none');
  for (const allowed of allowedTokens)
    check('allowedTokens', allowed, [token.min, token.max], true);
}
