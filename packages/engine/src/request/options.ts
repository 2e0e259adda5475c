import type { SamplingParams } from '../runner/sampling-params.ts';
import type { TokenConstraint } from '../runner/token-mask.ts';
import { checkSampling } from './check-sampling.ts';
import { invalid, token } from './invalid.ts';

/** What a caller asks for. */
export interface RequestOptions {
  /** Unique among the requests that have not ended. */
  readonly id: string;
  /** At least one token. */
  readonly prompt: ArrayLike<number>;
  /** Tokens to generate at most. Default: until the model's context is full. */
  readonly maxTokens?: number;
  /** Tokens that end the generation with `stop`. */
  readonly stopTokens?: readonly number[];
  /** Stop tokens are not sampled before so many tokens were generated. Default 0. */
  readonly minTokens?: number;
  /** How many sequences to generate from the prompt. Default 1. */
  readonly n?: number;
  /** Default: the likeliest token. */
  readonly sampling?: SamplingParams;
  /** Makes what restricts the text of each choice: a grammar, for instance. */
  readonly constraint?: (index: number) => TokenConstraint;
  /** Lower goes first, as in vLLM. Default 0. */
  readonly priority?: number;
  /** Who asks, for instance an API key: within a priority, tenants get equal shares. Default ''. */
  readonly tenant?: string;
  /** Prefixes are shared only among requests of the same salt. */
  readonly cacheSalt?: string;
  /**
   * The request ends with `deadline` when it takes longer, queue included; in
   * milliseconds, looked at between steps.
   */
  readonly timeoutMs?: number;
}

/** @throws InvalidRequestError for what no engine could run. */
export function checkRequest(options: RequestOptions): void {
  const { prompt, maxTokens, minTokens, n, priority, timeoutMs } = options;
  if (typeof options.id !== 'string' || options.id === '')
    throw invalid(options.id, 'id', 'a string that is not empty', options.id);
  const check = (name: string, value: unknown, { min, max }: { min: number; max: number }) => {
    if (!Number.isInteger(value) || Number(value) < min || Number(value) > max)
      throw invalid(options.id, name, `an integer from ${min} to ${max}`, value);
  };
  const length: unknown = prompt?.length;
  check('prompt.length', length, { min: 1, max: token.max });
  for (let i = 0; i < prompt.length; i++) check(`prompt[${i}]`, prompt[i], token);
  for (const id of options.stopTokens ?? []) check('stopTokens', id, token);
  if (maxTokens !== undefined) check('maxTokens', maxTokens, { min: 1, max: token.max });
  if (minTokens !== undefined) check('minTokens', minTokens, { min: 0, max: token.max });
  if (n !== undefined) check('n', n, { min: 1, max: 128 });
  if (priority !== undefined) check('priority', priority, { min: -1e6, max: 1e6 });
  if (timeoutMs !== undefined && !(timeoutMs > 0))
    throw invalid(options.id, 'timeoutMs', 'a number above 0', timeoutMs);
  if (options.sampling !== undefined) checkSampling(options.id, options.sampling);
}
