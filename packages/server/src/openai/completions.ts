import { badRequest } from '../errors.ts';
import { totalUsage } from '../generate/collect.ts';
import { encodeText } from '../generate/encode-text.ts';
import type { GenerationRequest } from '../generate/request.ts';
import type { ServerContext } from '../http/context.ts';
import type { Exchange } from '../http/exchange.ts';
import { ignoredHeader, parseFields } from '../http/fields.ts';
import { JsonAnswer } from '../http/json-answer.ts';
import { collectAnswer, streamAnswer } from '../http/run-answer.ts';
import { PlainText } from '../output/parts.ts';
import { finishReason } from './chat-body.ts';
import { type CompletionFields, completionFields } from './completion-fields.ts';
import { CompletionStream } from './completion-stream.ts';
import { checkModel, fingerprintOf } from './models.ts';
import { earlyHeaders, timeoutOf } from './request-options.ts';
import { endsOf, samplingOf } from './sampling-fields.ts';
import { completionLogprobs } from './token-logprobs.ts';
import { usageBody } from './usage.ts';

/** As in OpenAI's API. */
const defaultMaxTokens = 16;

/** POST /v1/completions */
export async function completions(
  context: ServerContext,
  exchange: Exchange,
  body: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { engine, options } = context;
  const { tokenizer } = engine.model;
  const { ignored, value: fields } = parseFields(completionFields, body, options.strictParams);
  checkModel(context, fields.model);
  for (const [name, header] of Object.entries(ignoredHeader(ignored)))
    exchange.response.setHeader(name, header);
  const { n = 1 } = fields;
  if (fields.best_of !== undefined && fields.best_of !== n)
    throw badRequest(
      'best_of has to be n: choices are not ranked.',
      'best_of',
      'unsupported_parameter',
    );
  if (fields.echo && fields.logprobs !== undefined)
    throw badRequest(
      'logprobs are given for the answer only, without echo.',
      'logprobs',
      'unsupported_parameter',
    );
  const prompts = await promptsOf(context, fields);
  const requests = prompts.map((prompt, i) =>
    generationOf(context, exchange, fields, { prompt, i }),
  );
  const echoes = prompts.flatMap((prompt) => {
    const text = fields.echo ? tokenizer.decode(prompt, { skipSpecialTokens: true }) : '';
    return Array.from({ length: n }, () => text);
  });
  const head = {
    id: `cmpl-${exchange.id}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1e3),
    model: fields.model,
    system_fingerprint: fingerprintOf(engine.model),
  };
  const hasLogprobs = fields.logprobs !== undefined;
  if (fields.stream) {
    const includeUsage = fields.stream_options?.include_usage === true;
    const shared = { head, choicesPerPrompt: n, echoes, hasLogprobs, includeUsage, tokenizer };
    return streamAnswer(context, exchange, requests, new CompletionStream(shared));
  }
  const answer = new JsonAnswer(exchange.response, earlyHeaders(options));
  exchange.failWith = answer;
  const choices = await collectAnswer(context, exchange, requests);
  const usages = choices.flatMap(({ usage }) => usage ?? []);
  answer.send(200, {
    ...head,
    choices: choices.map(({ logprobs, reason, text }, index) => ({
      index,
      text: (echoes[index] ?? '') + text,
      logprobs: hasLogprobs ? completionLogprobs(tokenizer, logprobs, 0) : null,
      finish_reason: finishReason(reason),
    })),
    usage: usageBody(totalUsage(usages, n)),
  });
}

/** The prompts in tokens. @throws ApiError 400 for tokens that the model does not have */
async function promptsOf(
  { engine: { model } }: ServerContext,
  fields: CompletionFields,
): Promise<(readonly number[])[]> {
  const { add_special_tokens: addSpecialTokens = true, prompt } = fields;
  const encode = async (text: string) => {
    const tokens = await encodeText(model.tokenizer, text, { addSpecialTokens });
    if (tokens.length === 0) throw badRequest('The prompt is empty.', 'prompt');
    return tokens;
  };
  const check = (tokens: readonly number[]) => {
    const wrong = tokens.find((token) => token >= model.vocabularySize);
    if (wrong !== undefined) throw badRequest(`prompt: ${wrong} is no token.`, 'prompt');
    return tokens;
  };
  if (typeof prompt === 'string') return [await encode(prompt)];
  const [first] = prompt;
  if (typeof first === 'number') return [check(prompt.filter((item) => typeof item === 'number'))];
  return Promise.all(
    prompt.map((item) => {
      if (typeof item === 'string') return encode(item);
      return check(typeof item === 'number' ? [item] : item);
    }),
  );
}

function generationOf(
  { engine: { model } }: ServerContext,
  exchange: Exchange,
  fields: CompletionFields,
  { prompt, i }: { readonly prompt: readonly number[]; readonly i: number },
): GenerationRequest {
  const timeoutMs = timeoutOf(exchange);
  return {
    id: `${exchange.key}-${i}`,
    prompt,
    n: fields.n ?? 1,
    maxTokens: fields.max_tokens ?? defaultMaxTokens,
    sampling: samplingOf(fields, model, fields.logprobs),
    ...endsOf(fields, model),
    parser: () => new PlainText(),
    keepTokens: new Set(),
    tenant: exchange.tenant,
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}
