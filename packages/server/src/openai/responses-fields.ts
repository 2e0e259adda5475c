import { z } from 'zod';
import type { FieldPolicy } from '../http/fields.ts';
import { samplingFields } from './sampling-fields.ts';

const part = z.looseObject({
  type: z.enum(['input_text', 'output_text', 'text', 'summary_text', 'reasoning_text']),
  text: z.string(),
});
const refusal = z.looseObject({ type: z.literal('refusal'), refusal: z.string() });
const content = z.union([z.string(), z.array(z.union([part, refusal]))], {
  error: 'expected text, or a list of text parts (this model reads no images, audio or files)',
});

/** What a conversation is made of; a message may leave out its type. */
export const inputItem = z.union(
  [
    z.looseObject({
      type: z.literal('message').optional(),
      role: z.enum(['user', 'assistant', 'system', 'developer']),
      content,
    }),
    z.looseObject({
      type: z.literal('function_call'),
      call_id: z.string(),
      name: z.string(),
      arguments: z.string(),
    }),
    z.looseObject({
      type: z.literal('function_call_output'),
      call_id: z.string(),
      output: content,
    }),
    z.looseObject({ type: z.literal('reasoning'), content: z.array(part).nullish() }),
  ],
  { error: 'expected a message, a function_call, a function_call_output or reasoning' },
);
export type InputItem = z.infer<typeof inputItem>;

const tool = z.looseObject({
  type: z.literal('function', { error: 'only tools of type function are supported' }),
  name: z.string().regex(/^[\w.-]{1,128}$/),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});

const format = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text') }),
  z.looseObject({ type: z.literal('json_object') }),
  z.looseObject({
    type: z.literal('json_schema'),
    name: z.string(),
    schema: z.record(z.string(), z.unknown()),
    strict: z.boolean().nullish(),
  }),
]);

const {
  n: _n,
  stop: _stop,
  logit_bias: _bias,
  presence_penalty: _presence,
  frequency_penalty: _frequency,
  ...sampling
} = samplingFields;

export const responsesFields = {
  schema: z.object({
    ...sampling,
    model: z.string(),
    input: z.union([z.string().min(1), z.array(inputItem).min(1)]),
    instructions: z.string().optional(),
    max_output_tokens: z.int().min(1).optional(),
    stream: z.boolean().optional(),
    tools: z.array(tool).max(256).optional(),
    tool_choice: z
      .union([
        z.enum(['none', 'auto', 'required']),
        z.looseObject({ type: z.literal('function'), name: z.string() }),
      ])
      .optional(),
    parallel_tool_calls: z.boolean().optional(),
    reasoning: z
      .looseObject({
        effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).nullish(),
      })
      .optional(),
    text: z.looseObject({ format: format.nullish() }).optional(),
    store: z.literal(false, { error: 'answers are not kept: set store to false' }).optional(),
    background: z.literal(false, { error: 'answers are not made in the background' }).optional(),
    truncation: z.literal('disabled', { error: 'conversations are not cut' }).optional(),
  }),
  ignored: [
    'context_management',
    'include',
    'max_tool_calls',
    'metadata',
    'moderation',
    'prompt_cache_key',
    'prompt_cache_options',
    'prompt_cache_retention',
    'safety_identifier',
    'service_tier',
    'stream_options',
    'user',
  ],
  refused: {
    previous_response_id: 'Answers are not kept: send the whole conversation.',
    conversation: 'Conversations are not kept: send the whole one.',
    prompt: 'There are no stored prompts: send the text.',
    top_logprobs: 'Use /v1/chat/completions.',
  },
} as const satisfies FieldPolicy<z.ZodObject>;

export type ResponsesFields = z.infer<typeof responsesFields.schema>;
