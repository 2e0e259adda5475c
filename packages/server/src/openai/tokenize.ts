import { z } from 'zod';
import { badRequest } from '../errors.ts';
import { prepareChat } from '../generate/chat-request.ts';
import { encodeText } from '../generate/encode-text.ts';
import type { ServerContext } from '../http/context.ts';
import { type FieldPolicy, parseFields } from '../http/fields.ts';
import { conversationOf } from './chat-conversation.ts';
import { chatFields, message, tool } from './chat-fields.ts';
import { checkModel } from './models.ts';

export const tokenizeFields = {
  schema: z.object({
    model: z.string().optional(),
    prompt: z.string().optional(),
    messages: z.array(message).min(1).optional(),
    tools: z.array(tool).optional(),
    add_special_tokens: z.boolean().optional(),
    add_generation_prompt: z.boolean().optional(),
    return_token_strs: z.boolean().optional(),
    chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
  }),
  ignored: [],
  refused: {},
} as const satisfies FieldPolicy<z.ZodObject>;

export const detokenizeFields = {
  schema: z.object({
    model: z.string().optional(),
    tokens: z.array(z.int().min(0)).max(1_000_000),
  }),
  ignored: [],
  refused: {},
} as const satisfies FieldPolicy<z.ZodObject>;

type Body = Readonly<Record<string, unknown>>;

/** POST /tokenize: the tokens of a text or of a conversation. */
export async function tokenize(context: ServerContext, body: Body) {
  const { engine, options } = context;
  const { value } = parseFields(tokenizeFields, body, options.strictParams);
  const tokens = await tokensOf(context, value);
  const spell = (token: number) =>
    engine.model.tokenizer.decode([token], { skipSpecialTokens: false });
  return {
    count: tokens.length,
    max_model_len: engine.model.maxModelLength,
    tokens,
    token_strs: value.return_token_strs ? tokens.map(spell) : null,
  };
}

async function tokensOf(context: ServerContext, value: z.infer<typeof tokenizeFields.schema>) {
  const { model } = context.engine;
  if (value.model !== undefined) checkModel(context, value.model);
  if ((value.prompt === undefined) === (value.messages === undefined))
    throw badRequest('Either prompt or messages has to be there.', 'prompt');
  if (value.prompt !== undefined) {
    const addSpecialTokens = value.add_special_tokens ?? true;
    return encodeText(model.tokenizer, value.prompt, { addSpecialTokens });
  }
  const fields = chatFields.schema.parse({ ...value, model: model.id });
  return (await prepareChat(model, conversationOf(fields, model.chat?.family))).prompt;
}

/** POST /detokenize: the text of tokens. */
export function detokenize(context: ServerContext, body: Body) {
  const { engine, options } = context;
  const { value } = parseFields(detokenizeFields, body, options.strictParams);
  if (value.model !== undefined) checkModel(context, value.model);
  return { prompt: engine.model.tokenizer.decode(value.tokens, { skipSpecialTokens: false }) };
}
