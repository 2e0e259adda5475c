import { z } from 'zod';
import { usageAnswer } from './usage-answer.ts';

const finish = z.enum(['stop', 'length']);
const logprobs = z.strictObject({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number()),
  top_logprobs: z.array(z.record(z.string(), z.number())),
  text_offset: z.array(z.int()),
});
const head = {
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
};
const choice = { index: z.int(), text: z.string(), logprobs: logprobs.nullable() };

/** A text completion. */
export const completionAnswer = z.strictObject({
  ...head,
  choices: z.array(z.strictObject({ ...choice, finish_reason: finish })),
  usage: usageAnswer,
});

/** What a stream of a text completion consists of. */
export const completionChunk = z.strictObject({
  ...head,
  choices: z.array(z.strictObject({ ...choice, finish_reason: finish.nullable() })),
  usage: usageAnswer.nullish(),
});
