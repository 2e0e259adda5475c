import type { ApiError } from '../errors.ts';
import type { AnswerItem } from '../generate/answer-items.ts';
import type { FinishReason, Usage } from '../generate/request.ts';

/** Calls come from the model itself, never from code that it has written. */
const caller = { type: 'direct' } as const;

/** A block of an answer. */
export function blockOf(item: AnswerItem) {
  if (item.kind === 'message') return { type: 'text', text: item.text, citations: null };
  if (item.kind === 'reasoning') return { type: 'thinking', thinking: item.text, signature: '' };
  const input = inputOf(item.text);
  return { type: 'tool_use', id: callIdOf(item), caller, name: item.name, input };
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

/** Why an answer has ended. Nothing here is refused or run in a container, but clients may look for both. */
export function stopOf(reason: FinishReason | undefined) {
  return { container: null, stop_details: null, ...endOf(reason) };
}

function endOf(reason: FinishReason | undefined) {
  if (reason?.kind === 'length') return { stop_reason: 'max_tokens', stop_sequence: null };
  if (reason?.kind === 'calls') return { stop_reason: 'tool_use', stop_sequence: null };
  const stop = reason?.kind === 'stop' ? reason.stop : undefined;
  if (stop !== undefined) return { stop_reason: 'stop_sequence', stop_sequence: stop };
  return { stop_reason: 'end_turn', stop_sequence: null };
}

/** The tokens of a message so far. Cached ones are counted apart from the others here. */
export function deltaUsageOf({ cachedTokens, outputTokens, promptTokens, reasoningTokens }: Usage) {
  return {
    input_tokens: promptTokens - cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: outputTokens,
    output_tokens_details: { thinking_tokens: reasoningTokens },
    server_tool_use: null,
  };
}

/** The tokens of a whole message, with what only Anthropic's own service can say left open. */
export function usageOf(usage: Usage) {
  const absent = { cache_creation: null, inference_geo: null, service_tier: null, speed: null };
  return { ...deltaUsageOf(usage), ...absent };
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
export function anthropicError({ message, status }: ApiError, requestId: string) {
  const type = errorTypes[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  return { type: 'error', error: { type, message }, request_id: requestId };
}
