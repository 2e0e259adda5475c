import { z } from 'zod';

/** An error in OpenAI's form, as {@link openAiError} writes it. */
export const errorAnswer = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});
