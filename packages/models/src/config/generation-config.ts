import { JsonFields } from './json-fields.ts';

/** What a model's authors suggest for generation: generation_config.json. */
export interface GenerationConfig {
  /** Tokens that end an answer; undefined where the file has none. */
  readonly eosTokenIds: readonly number[] | undefined;
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  /** 0: all tokens. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
}

/** Of a model without a generation_config.json: greedy. */
export const defaultGenerationConfig: GenerationConfig = {
  eosTokenIds: undefined,
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
};

/**
 * Reads the text of a generation_config.json. Without `do_sample: true` the likeliest token is taken, as
 * transformers does; unlike there, a missing `top_k` means all tokens. Throws ModelConfigError.
 */
export function parseGenerationConfig(
  text: string,
  file = 'generation_config.json',
): GenerationConfig {
  const fields = JsonFields.parse(text, file);
  const samples = fields.boolean('do_sample', false);
  return {
    eosTokenIds: fields.tokenIds('eos_token_id'),
    temperature: samples ? fields.number('temperature', { min: 0, max: 100 }, 1) : 0,
    topK: fields.integer('top_k', { min: 0, max: 2 ** 31 - 1 }, 0),
    topP: fields.number('top_p', { min: 0, max: 1 }, 1),
    minP: fields.number('min_p', { min: 0, max: 1 }, 0),
    repetitionPenalty: fields.number('repetition_penalty', { min: 1e-3, max: 1e3 }, 1),
  };
}
