import type { TokenLogprob, TokenLogprobs } from '@flash-mla/engine';
import type { ServedTokenizer } from '../model/served-model.ts';

/** JSON has no -Infinity; the number is vLLM's. */
const least = -9999;

function entry(tokenizer: ServedTokenizer, { logprob, token }: TokenLogprob) {
  const bytes = tokenizer.bytesOf(token);
  return {
    token: tokenizer.decode([token], { skipSpecialTokens: false }),
    logprob: Math.max(logprob, least),
    bytes: bytes === undefined ? null : [...bytes],
  };
}

/** Log-probabilities in the form of chat completions. */
export function chatLogprobs(tokenizer: ServedTokenizer, logprobs: readonly TokenLogprobs[]) {
  const content = logprobs.map((item) => ({
    ...entry(tokenizer, item),
    top_logprobs: item.top.map((top) => entry(tokenizer, top)),
  }));
  return { content, refusal: null };
}

/**
 * Log-probabilities in the form of completions: parallel lists.
 *
 * @param offset where the text of the first token begins
 */
export function completionLogprobs(
  tokenizer: ServedTokenizer,
  logprobs: readonly TokenLogprobs[],
  offset: number,
) {
  const spell = (token: number) => tokenizer.decode([token], { skipSpecialTokens: false });
  let end = offset;
  const offsets = logprobs.map(({ token }) => {
    const begin = end;
    end += spell(token).length;
    return begin;
  });
  return {
    tokens: logprobs.map(({ token }) => spell(token)),
    token_logprobs: logprobs.map(({ logprob }) => Math.max(logprob, least)),
    top_logprobs: logprobs.map(({ top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [spell(token), Math.max(logprob, least)])),
    ),
    text_offset: offsets,
  };
}
