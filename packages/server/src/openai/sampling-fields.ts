import type { SamplingParams } from '@flash-mla/engine';
import { z } from 'zod';
import { badRequest } from '../errors.ts';
import type { ServedModel } from '../model/served-model.ts';

const tokens = (max: number) => z.array(z.int().min(0)).max(max);

/** How tokens are drawn and when they end: the fields that all of OpenAI's routes share. */
export const samplingFields = {
  temperature: z.number().min(0).max(100).optional(),
  top_p: z.number().min(0).max(1).optional(),
  n: z.int().min(1).max(16).optional(),
  seed: z.int().optional(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(16)]).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  logit_bias: z.record(z.string(), z.number().min(-100).max(100)).optional(),
  // What other servers of open models take, too.
  top_k: z.int().min(-1).optional(),
  min_p: z.number().min(0).max(1).optional(),
  repetition_penalty: z.number().gt(0).max(1000).optional(),
  min_tokens: z.int().min(0).optional(),
  stop_token_ids: tokens(64).optional(),
  allowed_token_ids: tokens(4096).optional(),
  include_stop_str_in_output: z.boolean().optional(),
  ignore_eos: z.boolean().optional(),
  skip_special_tokens: z.boolean().optional(),
  priority: z.int().min(-1000).max(1000).optional(),
  cache_salt: z.string().min(1).max(256).optional(),
} as const;

const schema = z.object(samplingFields);
export type SamplingFields = z.infer<typeof schema>;

/** @throws ApiError 400 for tokens that the model does not have. */
export function samplingOf(
  fields: SamplingFields,
  { defaults, vocabularySize }: ServedModel,
  logprobs: number | undefined,
): SamplingParams {
  const checkToken = (token: number, param: string) => {
    if (token >= vocabularySize)
      throw badRequest(`${param}: ${token} is no token; there are ${vocabularySize}.`, param);
    return token;
  };
  const bias = Object.entries(fields.logit_bias ?? {});
  if (bias.length > 1024) throw badRequest('logit_bias may have 1024 entries.', 'logit_bias');
  const logitBias = bias.map(([key, value]) => {
    if (!/^\d{1,10}$/.test(key))
      throw badRequest(`logit_bias: ${JSON.stringify(key)} is no token.`, 'logit_bias');
    return [checkToken(Number(key), 'logit_bias'), value] as const;
  });
  const allowed = fields.allowed_token_ids?.map((token) => checkToken(token, 'allowed_token_ids'));
  if (allowed?.length === 0) throw badRequest('allowed_token_ids is empty.', 'allowed_token_ids');
  for (const token of fields.stop_token_ids ?? []) checkToken(token, 'stop_token_ids');
  const topK = fields.top_k ?? defaults.topK;
  const topP = fields.top_p ?? defaults.topP;
  const repetition = fields.repetition_penalty ?? defaults.repetitionPenalty;
  return {
    temperature: fields.temperature ?? defaults.temperature,
    ...(topP !== undefined && { topP }),
    ...(topK !== undefined && { topK: Math.max(0, topK) }),
    ...(fields.min_p !== undefined && { minP: fields.min_p }),
    ...(fields.seed !== undefined && { seed: fields.seed }),
    ...(repetition !== undefined && { repetitionPenalty: repetition }),
    ...(fields.presence_penalty !== undefined && { presencePenalty: fields.presence_penalty }),
    ...(fields.frequency_penalty !== undefined && { frequencyPenalty: fields.frequency_penalty }),
    ...(logitBias.length > 0 && { logitBias }),
    ...(allowed && { allowedTokens: allowed }),
    ...(logprobs !== undefined && { logprobs }),
  };
}

/** The fields that end an answer, and how special tokens are spelt, as a generation wants them. */
export function endsOf(fields: SamplingFields, model: ServedModel) {
  const stop = typeof fields.stop === 'string' ? [fields.stop] : (fields.stop ?? []);
  const own = fields.ignore_eos ? [] : model.stopTokens;
  return {
    stop,
    stopTokens: [...new Set([...own, ...(fields.stop_token_ids ?? [])])],
    includeStop: fields.include_stop_str_in_output ?? false,
    skipSpecialTokens: fields.skip_special_tokens ?? true,
    minTokens: fields.min_tokens ?? 0,
    priority: fields.priority ?? 0,
    ...(fields.cache_salt !== undefined && { cacheSalt: fields.cache_salt }),
  };
}
