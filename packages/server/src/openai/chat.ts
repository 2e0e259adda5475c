import { badRequest } from '../errors.ts';
import { prepareChat } from '../generate/chat-request.ts';
import { totalUsage } from '../generate/collect.ts';
import type { GenerationRequest } from '../generate/request.ts';
import type { ServerContext } from '../http/context.ts';
import type { Exchange } from '../http/exchange.ts';
import { ignoredHeader, parseFields } from '../http/fields.ts';
import { JsonAnswer } from '../http/json-answer.ts';
import { collectAnswer, streamAnswer } from '../http/run-answer.ts';
import { chatChoice } from './chat-body.ts';
import { conversationOf } from './chat-conversation.ts';
import { type ChatFields, chatFields } from './chat-fields.ts';
import { ChatStream } from './chat-stream.ts';
import { checkModel, fingerprintOf } from './models.ts';
import { earlyHeaders, timeoutOf } from './request-options.ts';
import { endsOf, samplingOf } from './sampling-fields.ts';
import { usageBody } from './usage.ts';

/** POST /v1/chat/completions */
export async function chatCompletions(
  context: ServerContext,
  exchange: Exchange,
  body: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { engine, options } = context;
  const { model } = engine;
  const { ignored, value: fields } = parseFields(chatFields, body, options.strictParams);
  checkModel(context, fields.model);
  for (const [name, header] of Object.entries(ignoredHeader(ignored)))
    exchange.response.setHeader(name, header);
  const request = await generationOf(context, exchange, fields);
  const head = {
    id: `chatcmpl-${exchange.id}`,
    created: Math.floor(Date.now() / 1e3),
    model: fields.model,
    system_fingerprint: fingerprintOf(model),
  };
  const field = fields.include_reasoning === false ? 'none' : options.reasoningField;
  const hasLogprobs = fields.logprobs === true;
  const { tokenizer } = model;
  if (fields.stream) {
    const { stream_options: stream } = fields;
    const writer = new ChatStream({
      head: { ...head, object: 'chat.completion.chunk' },
      numChoices: request.n,
      field,
      hasLogprobs,
      includeUsage: stream?.include_usage === true,
      continuousUsage: stream?.continuous_usage_stats === true,
      promptTokens: request.prompt.length,
      tokenizer,
    });
    return streamAnswer(context, exchange, [request], writer);
  }
  const answer = new JsonAnswer(exchange.response, earlyHeaders(options));
  exchange.failWith = answer;
  const choices = await collectAnswer(context, exchange, [request]);
  const usages = choices.flatMap(({ usage }) => usage ?? []);
  answer.send(200, {
    ...head,
    object: 'chat.completion',
    choices: choices.map((choice, i) => chatChoice(choice, i, { field, hasLogprobs, tokenizer })),
    usage: usageBody(totalUsage(usages, request.n)),
  });
}

async function generationOf(
  { engine: { model } }: ServerContext,
  exchange: Exchange,
  fields: ChatFields,
): Promise<GenerationRequest> {
  if (fields.top_logprobs !== undefined && fields.logprobs !== true)
    throw badRequest('top_logprobs needs logprobs.', 'top_logprobs');
  const logprobs = fields.logprobs === true ? (fields.top_logprobs ?? 0) : undefined;
  const sampling = samplingOf(fields, model, logprobs);
  const chat = await prepareChat(model, conversationOf(fields, model.chat?.family));
  const timeoutMs = timeoutOf(exchange);
  return {
    id: exchange.key,
    n: fields.n ?? 1,
    maxTokens: fields.max_completion_tokens ?? fields.max_tokens,
    sampling,
    ...endsOf(fields, model),
    ...chat,
    tenant: exchange.tenant,
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}
