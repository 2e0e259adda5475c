import type { EngineEvent, EngineStats, RequestOptions } from '@flash-mla/engine';
import type { GrammarSpec } from './request.ts';

/** What an engine is asked for, as plain data: it may live in another thread. */
export type BackendRequest = Omit<RequestOptions, 'constraint'> & {
  readonly grammar?: GrammarSpec;
  readonly grammarAfter?: number;
};

/** The events of one request that one step has brought. */
export type BackendListener = (events: readonly EngineEvent[]) => void;

/** An engine that steps by itself, in this thread or in another one. */
export interface Backend {
  /**
   * Every choice ends with exactly one `finished` event. Rejected, and nothing has begun, where the
   * engine refuses the request.
   */
  submit(request: BackendRequest, listener: BackendListener): Promise<void>;
  cancel(id: string): void;
  finish(id: string, index: number): void;
  stats(): EngineStats;
  /** Resolves when the engine has answered: it is alive. */
  ping(): Promise<void>;
  /** How long a question has been without any sign of life, in milliseconds; 0 while none is open. */
  silentMs(): number;
  /** Resolves with the cause when the engine has stopped for good. */
  readonly stopped: Promise<Error>;
  close(): Promise<void>;
}
