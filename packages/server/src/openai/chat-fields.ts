import { z } from 'zod';
import type { FieldPolicy } from '../http/fields.ts';
import { samplingFields } from './sampling-fields.ts';

const textPart = z.looseObject({
  type: z.enum(['text', 'input_text', 'output_text']),
  text: z.string(),
});
const refusalPart = z.looseObject({ type: z.literal('refusal'), refusal: z.string() });
const content = z.union([z.string(), z.array(z.union([textPart, refusalPart]))], {
  error: 'expected text, or a list of text parts (this model reads no images, audio or files)',
});

const toolCall = z.looseObject({
  id: z.string(),
  type: z.literal('function').optional(),
  // Some clients send the arguments as an object.
  function: z.looseObject({
    name: z.string().min(1),
    arguments: z.union([z.string(), z.record(z.string(), z.unknown())]),
  }),
});

/** A message of a conversation. */
export const message = z.discriminatedUnion('role', [
  z.looseObject({ role: z.enum(['system', 'developer', 'user']), content }),
  z.looseObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    tool_calls: z.array(toolCall).nullish(),
    // Both names are in use for thoughts.
    reasoning_content: z.string().nullish(),
    reasoning: z.string().nullish(),
  }),
  z.looseObject({ role: z.literal('tool'), content, tool_call_id: z.string() }),
]);
export type ChatMessage = z.infer<typeof message>;

export const tool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: z.string().regex(/^[\w.-]{1,128}$/),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});
export type Tool = z.infer<typeof tool>;

const named = z.object({
  type: z.literal('function'),
  function: z.looseObject({ name: z.string() }),
});
export const toolChoice = z.union([z.enum(['none', 'auto', 'required']), named]);

export const responseFormat = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text') }),
  z.looseObject({ type: z.literal('json_object') }),
  z.looseObject({
    type: z.literal('json_schema'),
    json_schema: z.looseObject({
      name: z.string(),
      schema: z.record(z.string(), z.unknown()),
      strict: z.boolean().nullish(),
    }),
  }),
]);

export const streamOptions = z.looseObject({
  include_usage: z.boolean().nullish(),
  continuous_usage_stats: z.boolean().nullish(),
});

export const chatFields = {
  schema: z.object({
    ...samplingFields,
    model: z.string(),
    messages: z.array(message).min(1),
    max_tokens: z.int().min(1).optional(),
    max_completion_tokens: z.int().min(1).optional(),
    logprobs: z.boolean().optional(),
    top_logprobs: z.int().min(0).max(20).optional(),
    stream: z.boolean().optional(),
    stream_options: streamOptions.optional(),
    response_format: responseFormat.optional(),
    tools: z.array(tool).max(256).optional(),
    tool_choice: toolChoice.optional(),
    parallel_tool_calls: z.boolean().optional(),
    reasoning_effort: z
      .enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])
      .optional(),
    include_reasoning: z.boolean().optional(),
    chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
    add_generation_prompt: z.boolean().optional(),
    add_special_tokens: z
      .literal(false, { error: 'the chat template writes the special tokens' })
      .optional(),
    modalities: z.array(z.literal('text')).optional(),
  }),
  ignored: [
    'metadata',
    'moderation',
    'prediction',
    'prompt_cache_key',
    'prompt_cache_options',
    'prompt_cache_retention',
    'request_id',
    'safety_identifier',
    'service_tier',
    'session_id',
    'spaces_between_special_tokens',
    'store',
    'user',
    'verbosity',
  ],
  refused: {
    audio: 'This server gives out text.',
    web_search_options: 'This server searches nothing.',
    functions: 'Use tools.',
    function_call: 'Use tool_choice.',
    bad_words: 'Use logit_bias.',
    prompt_logprobs: 'Only log-probabilities of the answer are given.',
    logprob_token_ids: 'Use top_logprobs.',
    truncate_prompt_tokens: 'Shorten the messages.',
    echo: 'Use /v1/completions.',
    continue_final_message: 'Use /v1/completions.',
    chat_template: "The model's own template is used.",
    documents: 'Put them into a message.',
    structured_outputs: 'Use response_format.',
    thinking_token_budget: 'Use reasoning_effort.',
    kv_transfer_params: 'K/V stays in this server.',
    return_token_ids: 'Use /tokenize.',
    use_beam_search: 'Use sampling.',
  },
} as const satisfies FieldPolicy<z.ZodObject>;

export type ChatFields = z.infer<typeof chatFields.schema>;
