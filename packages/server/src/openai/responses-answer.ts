import { z } from 'zod';

const status = z.enum(['in_progress', 'completed', 'incomplete']);
const textPart = z.strictObject({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.never()),
  logprobs: z.array(z.never()),
});
const thoughtPart = z.strictObject({ type: z.literal('reasoning_text'), text: z.string() });
const item = z.discriminatedUnion('type', [
  z.strictObject({
    id: z.string(),
    type: z.literal('message'),
    role: z.literal('assistant'),
    status,
    content: z.array(textPart),
  }),
  z.strictObject({
    id: z.string(),
    type: z.literal('reasoning'),
    status,
    summary: z.array(z.never()),
    content: z.array(thoughtPart),
  }),
  z.strictObject({
    id: z.string(),
    type: z.literal('function_call'),
    status,
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
]);

/** A response. */
export const responseAnswer = z.strictObject({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.int(),
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
  error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.strictObject({ reason: z.literal('max_output_tokens') }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  model: z.string(),
  output: z.array(item),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.null(),
  reasoning: z.strictObject({ effort: z.string().nullable(), summary: z.null() }),
  store: z.literal(false),
  temperature: z.number().nullable(),
  text: z.strictObject({ format: z.looseObject({ type: z.string() }) }),
  tool_choice: z.union([z.string(), z.looseObject({ type: z.string() })]),
  tools: z.array(z.looseObject({ type: z.literal('function'), name: z.string() })),
  top_p: z.number().nullable(),
  truncation: z.literal('disabled'),
  metadata: z.strictObject({}),
  usage: z
    .strictObject({
      input_tokens: z.int(),
      input_tokens_details: z.strictObject({ cached_tokens: z.int(), cache_write_tokens: z.int() }),
      output_tokens: z.int(),
      output_tokens_details: z.strictObject({ reasoning_tokens: z.int() }),
      total_tokens: z.int(),
    })
    .optional(),
});

const event = <Type extends string>(type: Type, more: z.ZodRawShape) =>
  z.strictObject({ type: z.literal(type), sequence_number: z.int(), ...more });
const response = { response: responseAnswer };
const at = { item_id: z.string(), output_index: z.int() };
const inPart = { ...at, content_index: z.int() };
const part = z.discriminatedUnion('type', [textPart, thoughtPart]);
const logprobs = z.array(z.never());

/** What a stream of a response consists of. */
export const responseEvent = z.discriminatedUnion('type', [
  event('response.created', response),
  event('response.in_progress', response),
  event('response.completed', response),
  event('response.incomplete', response),
  event('response.failed', response),
  event('response.output_item.added', { output_index: z.int(), item }),
  event('response.output_item.done', { output_index: z.int(), item }),
  event('response.content_part.added', { ...inPart, part }),
  event('response.content_part.done', { ...inPart, part }),
  event('response.output_text.delta', { ...inPart, delta: z.string(), logprobs }),
  event('response.output_text.done', { ...inPart, text: z.string(), logprobs }),
  event('response.reasoning_text.delta', { ...inPart, delta: z.string() }),
  event('response.reasoning_text.done', { ...inPart, text: z.string() }),
  event('response.function_call_arguments.delta', { ...at, delta: z.string() }),
  event('response.function_call_arguments.done', {
    ...at,
    name: z.string(),
    arguments: z.string(),
  }),
]);
