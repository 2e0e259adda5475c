import { z } from 'zod';
import { countTokensFields, messagesFields } from '../anthropic/fields.ts';
import {
  countAnswer,
  messageAnswer,
  messageError,
  messageEvent,
} from '../anthropic/message-answer.ts';
import { chatAnswer, chatChunk } from '../openai/chat-answer.ts';
import { chatFields } from '../openai/chat-fields.ts';
import { completionAnswer, completionChunk } from '../openai/completion-answer.ts';
import { completionFields } from '../openai/completion-fields.ts';
import { modelAnswer, modelListAnswer } from '../openai/models-answer.ts';
import { responseAnswer, responseEvent } from '../openai/responses-answer.ts';
import { responsesFields } from '../openai/responses-fields.ts';
import { detokenizeFields, tokenizeFields } from '../openai/tokenize.ts';
import { detokenizeAnswer, tokenizeAnswer } from '../openai/tokenize-answer.ts';
import type { ServerContext } from './context.ts';
import { errorAnswer } from './error-answer.ts';
import type { FieldPolicy } from './fields.ts';

interface Described {
  readonly summary: string;
  /** What checks the body. */
  readonly policy?: FieldPolicy<z.ZodObject>;
  /** JSON; text where it is missing. */
  readonly answer?: z.ZodType;
  /** The data of each event, where the answer may be a stream. */
  readonly event?: z.ZodType;
  readonly error?: z.ZodType;
  /** A part of the path. */
  readonly parameter?: string;
}

const posts: Readonly<Record<string, Described>> = {
  '/v1/chat/completions': {
    summary: 'Answer a conversation.',
    policy: chatFields,
    answer: chatAnswer,
    event: z.union([chatChunk, errorAnswer]),
  },
  '/v1/completions': {
    summary: 'Continue a text.',
    policy: completionFields,
    answer: completionAnswer,
    event: z.union([completionChunk, errorAnswer]),
  },
  '/v1/responses': {
    summary: 'Answer a conversation, without a memory.',
    policy: responsesFields,
    answer: responseAnswer,
    event: responseEvent,
  },
  '/v1/messages': {
    summary: "Answer a conversation, in Anthropic's form.",
    policy: messagesFields,
    answer: messageAnswer,
    event: z.union([messageEvent, messageError]),
    error: messageError,
  },
  '/v1/messages/count_tokens': {
    summary: 'The number of tokens of a conversation.',
    policy: countTokensFields,
    answer: countAnswer,
    error: messageError,
  },
  '/tokenize': {
    summary: 'The tokens of a text or a conversation.',
    policy: tokenizeFields,
    answer: tokenizeAnswer,
  },
  '/detokenize': {
    summary: 'The text of tokens.',
    policy: detokenizeFields,
    answer: detokenizeAnswer,
  },
};

const health = z.strictObject({ status: z.string() });
const gets: Readonly<Record<string, Described>> = {
  '/v1/models': { summary: 'The model, under each of its names.', answer: modelListAnswer },
  '/v1/models/{id}': {
    summary: 'The model under one of its names.',
    answer: modelAnswer,
    parameter: 'id',
  },
  '/health/live': { summary: 'Whether the process works.', answer: health, error: health },
  '/health/ready': { summary: 'Whether it should get requests.', answer: health, error: health },
  '/metrics': { summary: 'Prometheus metrics.' },
};

/** The description of all this, made of the schemas that requests are checked with and tests check answers with. */
export function openApi({ options }: ServerContext): object {
  return {
    openapi: '3.1.0',
    info: { title: 'flash-mla', version: '0.1.0' },
    ...(options.apiKeys.length > 0 && { security: [{ bearer: [] }] }),
    paths: {
      ...Object.fromEntries(
        Object.entries(posts).map(([path, it]) => [path, { post: operation(it) }]),
      ),
      ...Object.fromEntries(
        Object.entries(gets).map(([path, it]) => [path, { get: operation(it) }]),
      ),
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: schemaOf(errorAnswer, 'output') },
    },
  };
}

function operation({ answer, error, event, parameter: name, policy, summary }: Described): object {
  const content = {
    ...(answer && json(schemaOf(answer, 'output'))),
    ...(event && { 'text/event-stream': { schema: schemaOf(event, 'output') } }),
    ...(!answer && { 'text/plain': { schema: { type: 'string' } } }),
  };
  const failed = error ? schemaOf(error, 'output') : { $ref: '#/components/schemas/Error' };
  return {
    summary,
    ...(name && {
      parameters: [{ name, in: 'path', required: true, schema: { type: 'string' } }],
    }),
    ...(policy && {
      requestBody: { required: true, content: json(schemaOf(policy.schema, 'input')) },
    }),
    responses: {
      200: { description: 'The answer.', content },
      default: { description: 'An error.', content: json(failed) },
    },
  };
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _draft, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}

function json(schema: object): object {
  return { 'application/json': { schema } };
}
