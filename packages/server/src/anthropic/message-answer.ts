import { z } from 'zod';

const block = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text: z.string(), citations: z.null() }),
  z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
  z.strictObject({
    type: z.literal('tool_use'),
    id: z.string(),
    caller: z.strictObject({ type: z.literal('direct') }),
    name: z.string(),
    input: z.record(z.string(), z.unknown()),
  }),
]);
const deltaUsage = {
  input_tokens: z.int(),
  cache_creation_input_tokens: z.int(),
  cache_read_input_tokens: z.int(),
  output_tokens: z.int(),
  output_tokens_details: z.strictObject({ thinking_tokens: z.int() }),
  server_tool_use: z.null(),
};
const end = {
  container: z.null(),
  stop_details: z.null(),
  stop_reason: z.enum(['end_turn', 'max_tokens', 'stop_sequence', 'tool_use']).nullable(),
  stop_sequence: z.string().nullable(),
};

/** A message. */
export const messageAnswer = z.strictObject({
  id: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
  content: z.array(block),
  ...end,
  diagnostics: z.null(),
  usage: z.strictObject({
    ...deltaUsage,
    cache_creation: z.null(),
    inference_geo: z.null(),
    service_tier: z.null(),
    speed: z.null(),
  }),
});

const index = z.int();

/** What a stream of a message consists of. */
export const messageEvent = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('message_start'), message: messageAnswer }),
  z.strictObject({ type: z.literal('ping') }),
  z.strictObject({ type: z.literal('content_block_start'), index, content_block: block }),
  z.strictObject({
    type: z.literal('content_block_delta'),
    index,
    delta: z.discriminatedUnion('type', [
      z.strictObject({ type: z.literal('text_delta'), text: z.string() }),
      z.strictObject({ type: z.literal('thinking_delta'), thinking: z.string() }),
      z.strictObject({ type: z.literal('input_json_delta'), partial_json: z.string() }),
    ]),
  }),
  z.strictObject({ type: z.literal('content_block_stop'), index }),
  z.strictObject({
    type: z.literal('message_delta'),
    delta: z.strictObject(end),
    usage: z.strictObject(deltaUsage),
  }),
  z.strictObject({ type: z.literal('message_stop') }),
]);

/** The answer of count_tokens. */
export const countAnswer = z.strictObject({ input_tokens: z.int() });

/** An error in Anthropic's form. */
export const messageError = z.strictObject({
  type: z.literal('error'),
  error: z.strictObject({ type: z.string(), message: z.string() }),
  request_id: z.string(),
});
