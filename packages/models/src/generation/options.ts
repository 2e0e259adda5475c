import type { SamplingParams, TokenLogprobs } from '@flash-mla/engine';
import type { GenerationConfig } from '../config/generation-config.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';

/** A conversation, written down by the model's chat template. */
export interface ChatPrompt {
  readonly messages: readonly ChatMessage[];
  /** Tools in the form of the OpenAI API. */
  readonly tools?: readonly unknown[];
  /** Variables that the model's template knows, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** Text to go on with as it is, token ids, or a conversation to answer. */
export type Prompt = string | ArrayLike<number> | ChatPrompt;

/**
 * How to generate. What is left out is taken from the model's generation_config.json; where that has
 * nothing either, the likeliest token is taken.
 */
export interface GenerateOptions extends Partial<SamplingParams> {
  /** Tokens at most. Default: until the context is full. */
  readonly maxTokens?: number;
  /** Stop tokens are not sampled before so many tokens were generated. Default 0. */
  readonly minTokens?: number;
  /** Texts that end the answer. They are not part of it. */
  readonly stop?: string | readonly string[];
  /** Tokens that end the answer, beside the model's own. */
  readonly stopTokens?: readonly number[];
  /** Do not end at the model's own end tokens. Default false. */
  readonly ignoreEos?: boolean;
  /** Leave tokens such as `<think>` out of the text. Default true. */
  readonly skipSpecialTokens?: boolean;
  /** Ends the generation; the iterator throws its reason. */
  readonly signal?: AbortSignal;
}

/** Why an answer ended: a stop token or string, or `maxTokens` or the context used up. */
export type FinishReason = 'stop' | 'length';

/** Part of an answer. */
export interface GeneratedPiece {
  /** May be empty: a token need not complete a character. */
  readonly text: string;
  /** The tokens since the last piece. A stop token is among them. */
  readonly tokens: readonly number[];
  /** Of the tokens, where `logprobs` asks for them. */
  readonly logprobs: readonly TokenLogprobs[];
  /** Of the last piece: how the answer ended. */
  readonly end?: GenerationEnd;
}

export interface GenerationEnd {
  readonly reason: FinishReason;
  readonly promptTokens: number;
  /** Tokens of the prompt that an earlier call has left in the cache. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** From the call to the first token, in milliseconds, and from there to the last one. */
  readonly firstTokenMs: number;
  readonly restMs: number;
}

/** The sampling that options and a model's own advice make together. */
export function samplingOf(options: GenerateOptions, advice: GenerationConfig): SamplingParams {
  const pick = <Name extends keyof SamplingParams>(name: Name) =>
    options[name] === undefined ? {} : { [name]: options[name] };
  return {
    temperature: options.temperature ?? advice.temperature,
    topK: options.topK ?? advice.topK,
    topP: options.topP ?? advice.topP,
    minP: options.minP ?? advice.minP,
    repetitionPenalty: options.repetitionPenalty ?? advice.repetitionPenalty,
    ...pick('seed'),
    ...pick('presencePenalty'),
    ...pick('frequencyPenalty'),
    ...pick('logitBias'),
    ...pick('allowedTokens'),
    ...pick('logprobs'),
  };
}
