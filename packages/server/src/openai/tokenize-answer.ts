import { z } from 'zod';

export const tokenizeAnswer = z.strictObject({
  count: z.int(),
  max_model_len: z.int(),
  tokens: z.array(z.int()),
  token_strs: z.array(z.string()).nullable(),
});

export const detokenizeAnswer = z.strictObject({ prompt: z.string() });
