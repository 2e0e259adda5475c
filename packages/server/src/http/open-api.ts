import { z } from 'zod';
import { countTokensFields, messagesFields } from '../anthropic/fields.ts';
import { chatFields } from '../openai/chat-fields.ts';
import { completionFields } from '../openai/completion-fields.ts';
import { responsesFields } from '../openai/responses-fields.ts';
import { detokenizeFields, tokenizeFields } from '../openai/tokenize.ts';
import type { ServerContext } from './context.ts';
import type { FieldPolicy } from './fields.ts';

/** Routes whose bodies are described by what checks them. */
const described: Readonly<Record<string, { policy: FieldPolicy<z.ZodObject>; summary: string }>> = {
  '/v1/chat/completions': { policy: chatFields, summary: 'Answer a conversation.' },
  '/v1/completions': { policy: completionFields, summary: 'Continue a text.' },
  '/v1/responses': { policy: responsesFields, summary: 'Answer a conversation, without a memory.' },
  '/v1/messages': {
    policy: messagesFields,
    summary: "Answer a conversation, in Anthropic's form.",
  },
  '/v1/messages/count_tokens': {
    policy: countTokensFields,
    summary: 'The number of tokens of a conversation.',
  },
  '/tokenize': { policy: tokenizeFields, summary: 'The tokens of a text or a conversation.' },
  '/detokenize': { policy: detokenizeFields, summary: 'The text of tokens.' },
};

const reads: Readonly<Record<string, string>> = {
  '/v1/models': 'The model, under each of its names.',
  '/health/live': 'Whether the process works.',
  '/health/ready': 'Whether it should get requests.',
  '/metrics': 'Prometheus metrics.',
};

/** The description of all this, made of the schemas that requests are checked with. */
export function openApi({ options }: ServerContext): object {
  const error = { description: 'An error.', content: json({ $ref: '#/components/schemas/Error' }) };
  const responses = { 200: { description: 'The answer.' }, default: error };
  const posts = Object.entries(described).map(([path, { policy, summary }]) => {
    const { $schema: _draft, ...schema } = z.toJSONSchema(policy.schema, { io: 'input' });
    const requestBody = { required: true, content: json(schema) };
    return [path, { post: { summary, requestBody, responses } }];
  });
  const gets = Object.entries(reads).map(([path, summary]) => [
    path,
    { get: { summary, responses } },
  ]);
  return {
    openapi: '3.1.0',
    info: { title: 'flash-mla', version: '0.1.0' },
    ...(options.apiKeys.length > 0 && { security: [{ bearer: [] }] }),
    paths: Object.fromEntries([...posts, ...gets]),
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: {
        Error: {
          type: 'object',
          required: ['error'],
          properties: {
            error: {
              type: 'object',
              required: ['message', 'type', 'param', 'code'],
              properties: {
                message: { type: 'string' },
                type: { type: 'string' },
                param: { type: ['string', 'null'] },
                code: { type: ['string', 'null'] },
              },
            },
          },
        },
      },
    },
  };
}

function json(schema: object): object {
  return { 'application/json': { schema } };
}
