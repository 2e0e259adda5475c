import { AnswerItems } from '../generate/answer-items.ts';
import { prepareChat } from '../generate/chat-request.ts';
import type { GenerationRequest } from '../generate/request.ts';
import type { ServerContext } from '../http/context.ts';
import type { Exchange } from '../http/exchange.ts';
import { ignoredHeader, parseFields } from '../http/fields.ts';
import { JsonAnswer } from '../http/json-answer.ts';
import { collectAnswer, streamAnswer } from '../http/run-answer.ts';
import { checkModel } from '../openai/models.ts';
import { earlyHeaders, timeoutOf } from '../openai/request-options.ts';
import { blockOf, stopOf, usageOf } from './body.ts';
import { messagesConversation } from './conversation.ts';
import { countTokensFields, type MessagesFields, messagesFields } from './fields.ts';
import { MessageStream } from './stream.ts';

type Body = Readonly<Record<string, unknown>>;

/** POST /v1/messages */
export async function messages(
  context: ServerContext,
  exchange: Exchange,
  body: Body,
): Promise<void> {
  const { options } = context;
  const { ignored, value: fields } = parseFields(messagesFields, body, options.strictParams);
  checkModel(context, fields.model);
  exchange.response.setHeader('request-id', exchange.id);
  for (const [name, header] of Object.entries(ignoredHeader(ignored)))
    exchange.response.setHeader(name, header);
  const request = await generationOf(context, exchange, fields);
  const id = `msg_${exchange.key.replaceAll('-', '')}`;
  const head = { id, type: 'message', role: 'assistant', model: fields.model, diagnostics: null };
  if (fields.stream)
    return streamAnswer(
      context,
      exchange,
      [request],
      new MessageStream({
        message: head,
        promptTokens: request.prompt.length,
        requestId: exchange.id,
      }),
    );
  const answer = new JsonAnswer(exchange.response, earlyHeaders(options));
  exchange.failWith = answer;
  const [choice] = await collectAnswer(context, exchange, [request]);
  const items = new AnswerItems();
  items.add(choice?.parts ?? []);
  answer.send(200, {
    ...head,
    content: items.items.map(blockOf),
    ...stopOf(choice?.reason),
    usage: choice?.usage && usageOf(choice.usage),
  });
}

async function generationOf(
  { engine: { model } }: ServerContext,
  exchange: Exchange,
  fields: MessagesFields,
): Promise<GenerationRequest> {
  const { defaults, stopTokens } = model;
  const topP = fields.top_p ?? defaults.topP;
  const topK = fields.top_k ?? defaults.topK;
  const { repetitionPenalty } = defaults;
  const timeoutMs = timeoutOf(exchange);
  return {
    id: exchange.key,
    n: 1,
    maxTokens: fields.max_tokens,
    minTokens: 0,
    stop: fields.stop_sequences ?? [],
    stopTokens,
    includeStop: false,
    skipSpecialTokens: true,
    sampling: {
      temperature: fields.temperature ?? defaults.temperature,
      ...(topP !== undefined && { topP }),
      ...(topK !== undefined && { topK }),
      ...(repetitionPenalty !== undefined && { repetitionPenalty }),
    },
    ...(await prepareChat(model, messagesConversation(fields, model.chat?.family))),
    priority: 0,
    tenant: exchange.tenant,
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

/** POST /v1/messages/count_tokens */
export async function countTokens(context: ServerContext, body: Body) {
  const { engine, options } = context;
  const { value } = parseFields(countTokensFields, body, options.strictParams);
  checkModel(context, value.model);
  const conversation = messagesConversation(value, engine.model.chat?.family);
  const { prompt } = await prepareChat(engine.model, conversation);
  return { input_tokens: prompt.length };
}
