import { z } from 'zod';
import type { FieldPolicy } from '../http/fields.ts';

const text = z.looseObject({ type: z.literal('text'), text: z.string() });
const plain = z.union([z.string(), z.array(text)], {
  error: 'expected text, or a list of text blocks (this model reads no images or documents)',
});
const block = z.discriminatedUnion(
  'type',
  [
    text,
    z.looseObject({
      type: z.literal('tool_use'),
      id: z.string(),
      name: z.string(),
      input: z.record(z.string(), z.unknown()),
    }),
    z.looseObject({
      type: z.literal('tool_result'),
      tool_use_id: z.string(),
      content: plain.nullish(),
      is_error: z.boolean().nullish(),
    }),
    z.looseObject({ type: z.literal('thinking'), thinking: z.string() }),
    z.looseObject({ type: z.literal('redacted_thinking') }),
  ],
  { error: 'expected a text, tool_use, tool_result or thinking block' },
);
export type Block = z.infer<typeof block>;

const tool = z.looseObject({
  type: z.literal('custom', { error: 'only tools of your own are supported' }).nullish(),
  name: z.string().regex(/^[\w.-]{1,128}$/),
  description: z.string().nullish(),
  input_schema: z.record(z.string(), z.unknown()),
  strict: z.boolean().nullish(),
});

const parallel = { disable_parallel_tool_use: z.boolean().nullish() };
const toolChoice = z.discriminatedUnion('type', [
  z.looseObject({ type: z.enum(['auto', 'any', 'none']), ...parallel }),
  z.looseObject({ type: z.literal('tool'), name: z.string(), ...parallel }),
]);

const conversation = {
  model: z.string(),
  messages: z
    .array(
      z.looseObject({
        // Some clients send further roles, which mean the user's side.
        role: z.enum(['user', 'assistant', 'system', 'ctx', 'msg']),
        content: z.union([z.string(), z.array(block)]),
      }),
    )
    .min(1),
  system: plain.optional(),
  tools: z.array(tool).max(256).optional(),
  tool_choice: toolChoice.optional(),
  thinking: z.looseObject({ type: z.enum(['enabled', 'disabled', 'adaptive']) }).optional(),
};

const ignored = [
  'betas',
  'cache_control',
  'context_management',
  'diagnostics',
  'inference_geo',
  'metadata',
  'service_tier',
  'speed',
  'user_profile_id',
  'workspace_id',
];
const refused = {
  mcp_servers: 'This server calls no tools itself.',
  container: 'This server runs no code.',
  output_format: 'Use /v1/chat/completions and response_format.',
  output_config: 'Use /v1/chat/completions and response_format.',
} as const;

export const messagesFields = {
  schema: z.object({
    ...conversation,
    max_tokens: z.int().min(1),
    stop_sequences: z.array(z.string().min(1)).max(16).optional(),
    stream: z.boolean().optional(),
    temperature: z.number().min(0).max(100).optional(),
    top_p: z.number().min(0).max(1).optional(),
    top_k: z.int().min(0).optional(),
  }),
  ignored,
  refused,
} as const satisfies FieldPolicy<z.ZodObject>;

export const countTokensFields = {
  schema: z.object(conversation),
  ignored,
  refused,
} as const satisfies FieldPolicy<z.ZodObject>;

export type MessagesFields = z.infer<typeof messagesFields.schema>;
export type ConversationFields = z.infer<typeof countTokensFields.schema>;
