import type { EngineError, RequestStats, SamplingParams, TokenLogprobs } from '@flash-mla/engine';
import type { OutputParser, OutputPart } from '../output/parts.ts';

/** What a grammar holds an answer to. */
export type GrammarSpec =
  /** The source of a JSON schema. */
  | { readonly kind: 'json-schema'; readonly source: string }
  /** xgrammar's structural tag, as JSON. */
  | { readonly kind: 'structural-tag'; readonly source: string };

/** A request in tokens, with all defaults filled in. */
export interface GenerationRequest {
  readonly id: string;
  readonly prompt: readonly number[];
  readonly n: number;
  /** Undefined: until the context is full. */
  readonly maxTokens: number | undefined;
  readonly minTokens: number;
  /** End the answer, and are no part of it unless `includeStop`. */
  readonly stop: readonly string[];
  readonly stopTokens: readonly number[];
  readonly includeStop: boolean;
  /** Special tokens are no part of the text, but for `keepTokens`. */
  readonly skipSpecialTokens: boolean;
  /** Special tokens that the parser looks for. */
  readonly keepTokens: ReadonlySet<number>;
  readonly sampling: SamplingParams;
  /** Makes a parser for each choice. */
  readonly parser: () => OutputParser;
  readonly grammar?: GrammarSpec;
  /** The grammar holds only behind this token: the end of thoughts. */
  readonly grammarAfter?: number;
  readonly priority: number;
  readonly tenant: string;
  readonly cacheSalt?: string;
  readonly timeoutMs?: number;
}

/** Why an answer ended. */
export type FinishReason =
  | { readonly kind: 'stop' | 'calls'; readonly stop?: string }
  | { readonly kind: 'length' | 'cancelled' | 'deadline' }
  | { readonly kind: 'error'; readonly error: EngineError };

/** What happens to one choice of a request. */
export type GenerationEvent =
  | {
      readonly kind: 'delta';
      readonly index: number;
      readonly parts: readonly OutputPart[];
      /** Tokens that came, also where their text is held back. */
      readonly tokens: readonly number[];
      readonly logprobs: readonly TokenLogprobs[];
    }
  | {
      readonly kind: 'finish';
      readonly index: number;
      readonly reason: FinishReason;
      readonly usage: Usage;
      readonly stats: RequestStats;
    };

export interface Usage {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
}

/** All events that one step has brought for a request, in order. */
export type GenerationListener = (events: readonly GenerationEvent[]) => void;
