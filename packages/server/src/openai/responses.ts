import { AnswerItems } from '../generate/answer-items.ts';
import { prepareChat } from '../generate/chat-request.ts';
import type { GenerationRequest } from '../generate/request.ts';
import type { ServerContext } from '../http/context.ts';
import type { Exchange } from '../http/exchange.ts';
import { ignoredHeader, parseFields } from '../http/fields.ts';
import { JsonAnswer } from '../http/json-answer.ts';
import { collectAnswer, streamAnswer } from '../http/run-answer.ts';
import { checkModel } from './models.ts';
import { earlyHeaders, timeoutOf } from './request-options.ts';
import { responseBody } from './response-body.ts';
import { statusOf } from './response-items.ts';
import { responsesConversation } from './responses-conversation.ts';
import { type ResponsesFields, responsesFields } from './responses-fields.ts';
import { ResponsesStream } from './responses-stream.ts';
import { endsOf, samplingOf } from './sampling-fields.ts';

/** POST /v1/responses, without a memory: each request brings its whole conversation. */
export async function responses(
  context: ServerContext,
  exchange: Exchange,
  body: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { options } = context;
  const { ignored, value: fields } = parseFields(responsesFields, body, options.strictParams);
  checkModel(context, fields.model);
  for (const [name, header] of Object.entries(ignoredHeader(ignored)))
    exchange.response.setHeader(name, header);
  const request = await generationOf(context, exchange, fields);
  const id = `resp_${exchange.key.replaceAll('-', '')}`;
  const head = { id, created: Math.floor(Date.now() / 1e3), fields };
  if (fields.stream) return streamAnswer(context, exchange, [request], new ResponsesStream(head));
  const answer = new JsonAnswer(exchange.response, earlyHeaders(options));
  exchange.failWith = answer;
  const [choice] = await collectAnswer(context, exchange, [request]);
  const items = new AnswerItems();
  items.add(choice?.parts ?? []);
  const usage = choice?.usage;
  answer.send(
    200,
    responseBody(head, {
      status: choice?.reason === undefined ? 'completed' : statusOf(choice.reason),
      items: items.items,
      ...(usage && { usage }),
    }),
  );
}

async function generationOf(
  { engine: { model } }: ServerContext,
  exchange: Exchange,
  fields: ResponsesFields,
): Promise<GenerationRequest> {
  const timeoutMs = timeoutOf(exchange);
  return {
    id: exchange.key,
    n: 1,
    maxTokens: fields.max_output_tokens,
    sampling: samplingOf(fields, model, undefined),
    ...endsOf(fields, model),
    ...(await prepareChat(model, responsesConversation(fields, model.chat?.family))),
    tenant: exchange.tenant,
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}
