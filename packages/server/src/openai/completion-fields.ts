import { z } from 'zod';
import type { FieldPolicy } from '../http/fields.ts';
import { streamOptions } from './chat-fields.ts';
import { samplingFields } from './sampling-fields.ts';

const tokens = z.array(z.int().min(0)).min(1);

export const completionFields = {
  schema: z.object({
    ...samplingFields,
    model: z.string(),
    prompt: z.union(
      [z.string(), tokens, z.array(z.string()).min(1).max(128), z.array(tokens).min(1).max(128)],
      {
        error: 'expected text, tokens, or a list of either that is not empty',
      },
    ),
    max_tokens: z.int().min(1).optional(),
    best_of: z.int().min(1).optional(),
    echo: z.boolean().optional(),
    logprobs: z.int().min(0).max(20).optional(),
    stream: z.boolean().optional(),
    stream_options: streamOptions.optional(),
    add_special_tokens: z.boolean().optional(),
    response_format: z.looseObject({ type: z.literal('text') }).optional(),
  }),
  ignored: [
    'user',
    'metadata',
    'store',
    'service_tier',
    'request_id',
    'session_id',
    'spaces_between_special_tokens',
  ],
  refused: {
    suffix: 'This model does not fill gaps.',
    bad_words: 'Use logit_bias.',
    prompt_logprobs: 'Only log-probabilities of the answer are given.',
    prompt_embeds: 'Send text or tokens.',
    truncate_prompt_tokens: 'Shorten the prompt.',
    structured_outputs: 'Use response_format of /v1/chat/completions.',
    kv_transfer_params: 'K/V stays in this server.',
    return_token_ids: 'Use /tokenize.',
    use_beam_search: 'Use sampling.',
  },
} as const satisfies FieldPolicy<z.ZodObject>;

export type CompletionFields = z.infer<typeof completionFields.schema>;
