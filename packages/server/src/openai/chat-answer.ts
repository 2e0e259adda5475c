import { z } from 'zod';
import { usageAnswer, usageSoFar } from './usage-answer.ts';

const finish = z.enum(['stop', 'length', 'tool_calls']);
const bytes = z.array(z.int().min(0).max(255)).nullable();
const spelt = { token: z.string(), logprob: z.number(), bytes };
const logprobs = z.strictObject({
  content: z.array(z.strictObject({ ...spelt, top_logprobs: z.array(z.strictObject(spelt)) })),
  refusal: z.null(),
});
const reasoning = { reasoning: z.string().optional(), reasoning_content: z.string().optional() };
const head = {
  id: z.string(),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
};

/** A chat completion. */
export const chatAnswer = z.strictObject({
  ...head,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.strictObject({
      index: z.int(),
      message: z.strictObject({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.null(),
        ...reasoning,
        tool_calls: z
          .array(
            z.strictObject({
              id: z.string(),
              type: z.literal('function'),
              function: z.strictObject({ name: z.string(), arguments: z.string() }),
            }),
          )
          .optional(),
      }),
      logprobs: logprobs.nullable(),
      finish_reason: finish,
      stop_reason: z.string().describe('The stop string that ended the text.').optional(),
    }),
  ),
  usage: usageAnswer,
});

/** What a stream of a chat completion consists of. */
export const chatChunk = z.strictObject({
  ...head,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.strictObject({
      index: z.int(),
      delta: z.strictObject({
        role: z.literal('assistant').optional(),
        content: z.string().optional(),
        ...reasoning,
        tool_calls: z
          .array(
            z.strictObject({
              index: z.int(),
              id: z.string().optional(),
              type: z.literal('function').optional(),
              function: z.strictObject({ name: z.string().optional(), arguments: z.string() }),
            }),
          )
          .optional(),
      }),
      logprobs: logprobs.nullable(),
      finish_reason: finish.nullable(),
    }),
  ),
  usage: z.union([usageAnswer, usageSoFar]).nullish(),
});
