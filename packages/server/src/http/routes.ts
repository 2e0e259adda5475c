import { anthropicError } from '../anthropic/body.ts';
import { countTokens, messages } from '../anthropic/messages.ts';
import type { ApiError } from '../errors.ts';
import { chatCompletions } from '../openai/chat.ts';
import { completions } from '../openai/completions.ts';
import { responses } from '../openai/responses.ts';
import { detokenize, tokenize } from '../openai/tokenize.ts';
import type { ServerContext } from './context.ts';
import type { Exchange } from './exchange.ts';
import { JsonAnswer } from './json-answer.ts';

type Body = Readonly<Record<string, unknown>>;

/** A route that takes JSON and answers by itself. */
export interface PostRoute {
  readonly path: string;
  /** Takes part in limits and in the drain of a shutdown. */
  readonly generates: boolean;
  /** The form of errors; OpenAI's where there is none. */
  readonly errorBody?: (error: ApiError, requestId: string) => object;
  readonly handle: (context: ServerContext, exchange: Exchange, body: Body) => Promise<void>;
}

const answerWith =
  (compute: (context: ServerContext, body: Body) => unknown): PostRoute['handle'] =>
  async (context, { response }, body) =>
    new JsonAnswer(response, undefined).send(200, await compute(context, body));

/** A new protocol is one more line here. */
export const postRoutes: readonly PostRoute[] = [
  { path: '/v1/chat/completions', generates: true, handle: chatCompletions },
  { path: '/v1/completions', generates: true, handle: completions },
  { path: '/v1/responses', generates: true, handle: responses },
  { path: '/v1/messages', generates: true, handle: messages, errorBody: anthropicError },
  {
    path: '/v1/messages/count_tokens',
    generates: false,
    handle: answerWith(countTokens),
    errorBody: anthropicError,
  },
  { path: '/tokenize', generates: false, handle: answerWith(tokenize) },
  { path: '/detokenize', generates: false, handle: answerWith(detokenize) },
];
