import type { EngineEvent, EngineOptions, EngineStats } from '@flash-mla/engine';
import type { BackendRequest } from '../generate/backend.ts';
import type { GrammarVocabulary } from '../grammar/vocabulary.ts';
import type { OperationsSource } from '../model/checkpoint-runner.ts';
import type { SentError } from './sent-error.ts';

/** What the engine's thread is told when it starts. */
export interface EngineThreadData {
  /** A folder or a package. */
  readonly model: string;
  readonly maxModelLength: number;
  /** What the KV cache holds. */
  readonly maxTokens: number;
  readonly hisparse?: boolean | string;
  readonly operations?: OperationsSource;
  readonly engine: Partial<EngineOptions>;
  readonly vocabulary: GrammarVocabulary;
}

export type ToEngine =
  | { readonly kind: 'submit'; readonly call: number; readonly request: BackendRequest }
  | { readonly kind: 'cancel'; readonly id: string }
  | { readonly kind: 'finish'; readonly id: string; readonly index: number }
  | { readonly kind: 'ping'; readonly call: number }
  | { readonly kind: 'close'; readonly call: number };

/** An outcome with an error cannot be sent as it is. */
export type SentEvent =
  | Exclude<EngineEvent, { kind: 'finished' }>
  | (Omit<Extract<EngineEvent, { kind: 'finished' }>, 'outcome'> & {
      readonly reason: 'stop' | 'length' | 'cancelled' | 'deadline' | 'error';
      readonly error?: SentError;
    });

export type FromEngine =
  | { readonly kind: 'ready'; readonly stats: EngineStats }
  | { readonly kind: 'failed'; readonly error: SentError }
  | { readonly kind: 'reply'; readonly call: number; readonly error?: SentError }
  | { readonly kind: 'events'; readonly id: string; readonly events: readonly SentEvent[] }
  | { readonly kind: 'stats'; readonly stats: EngineStats }
  | { readonly kind: 'stopped'; readonly error: SentError };
