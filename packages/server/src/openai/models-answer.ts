import { z } from 'zod';

/** A model of the list. */
export const modelAnswer = z.strictObject({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  root: z.string(),
  parent: z.null(),
  max_model_len: z.int(),
});

export const modelListAnswer = z.strictObject({
  object: z.literal('list'),
  data: z.array(modelAnswer),
});
