import type { ApiError } from '../errors.ts';
import type { AnswerItem } from '../generate/answer-items.ts';
import type { FinishReason, Usage } from '../generate/request.ts';

/** A block of an answer. */
export function blockOf(item: AnswerItem) {
  if (item.kind === 'message') return { type: 'text', text: item.text, citations: null };
  if (item.kind === 'reasoning') return { type: 'thinking', thinking: item.text, signature: '' };
  return { type: 'tool_use', id: callIdOf(item), name: item.name, input: inputOf(item.text) };
}

export function callIdOf({ callId, key }: Extract<AnswerItem, { kind: 'call' }>): string {
  return callId ?? `toolu_${key}`;
}

/** Arguments are an object here. Those that are none, because the answer was cut for instance, are empty. */
function inputOf(json: string): object {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

export function stopOf(reason: FinishReason | undefined) {
  if (reason?.kind === 'length') return { stop_reason: 'max_tokens', stop_sequence: null };
  if (reason?.kind === 'calls') return { stop_reason: 'tool_use', stop_sequence: null };
  const stop = reason?.kind === 'stop' ? reason.stop : undefined;
  if (stop !== undefined) return { stop_reason: 'stop_sequence', stop_sequence: stop };
  return { stop_reason: 'end_turn', stop_sequence: null };
}

/** Cached tokens are counted apart from the others here. */
export function usageOf({ cachedTokens, outputTokens, promptTokens }: Usage) {
  return {
    input_tokens: promptTokens - cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: outputTokens,
  };
}

const errorTypes: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

/** An error in Anthropic's form. */
export function anthropicError({ message, status }: ApiError) {
  const type = errorTypes[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  return { type: 'error', error: { type, message } };
}
