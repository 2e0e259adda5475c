import type { AnswerItem } from '../generate/answer-items.ts';
import type { Usage } from '../generate/request.ts';
import { itemBody } from './response-items.ts';
import type { ResponsesFields } from './responses-fields.ts';

type ResponseTool = NonNullable<ResponsesFields['tools']>[number];

/** What of a response is known before anything is generated. */
export interface ResponseHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly fields: ResponsesFields;
}

export interface ResponseState {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed';
  readonly items?: readonly AnswerItem[];
  readonly usage?: Usage;
  readonly error?: { readonly code: string; readonly message: string };
}

/** A response in the form of the API. */
export function responseBody({ created, fields, id }: ResponseHead, state: ResponseState) {
  const { error = null, items = [], status, usage } = state;
  const itemStatus = status === 'incomplete' ? 'incomplete' : 'completed';
  return {
    id,
    object: 'response',
    created_at: created,
    status,
    error,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: fields.instructions ?? null,
    max_output_tokens: fields.max_output_tokens ?? null,
    model: fields.model,
    output: items.map((item, i) => itemBody(item, i < items.length - 1 ? 'completed' : itemStatus)),
    parallel_tool_calls: fields.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: fields.reasoning?.effort ?? null, summary: null },
    store: false,
    temperature: fields.temperature ?? null,
    text: { format: fields.text?.format ?? { type: 'text' } },
    tool_choice: fields.tool_choice ?? 'auto',
    tools: (fields.tools ?? []).map(toolBody),
    top_p: fields.top_p ?? null,
    truncation: 'disabled',
    metadata: {},
    // The API's description knows no null here.
    ...(usage && { usage: usageOf(usage) }),
  };
}

function toolBody({ parameters = null, strict = null, ...tool }: ResponseTool) {
  return { ...tool, parameters, strict };
}

function usageOf({ cachedTokens, outputTokens, promptTokens, reasoningTokens }: Usage) {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + outputTokens,
  };
}
