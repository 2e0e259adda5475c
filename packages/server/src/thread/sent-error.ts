import { FlashMlaError } from '@flash-mla/core';
import {
  ConstraintError,
  EngineError,
  EngineStoppedError,
  InvalidRequestError,
  QueueFullError,
  RequestTooLongError,
  RunnerError,
} from '@flash-mla/engine';
import { ApiError, GrammarError, type Problem } from '../errors.ts';

/** An error on its way from one thread to another: classes do not come along by themselves. */
export interface SentError extends Problem {
  readonly name: string;
  readonly message: string;
  readonly status?: number;
  /** Whether it was thrown on purpose. */
  readonly isTyped: boolean;
}

const classes = {
  ConstraintError,
  EngineStoppedError,
  GrammarError,
  InvalidRequestError,
  QueueFullError,
  RequestTooLongError,
} as const;

/** What went wrong with a model in its thread, under the name that it has there. */
class LoadError extends FlashMlaError {
  override readonly name: string;
  constructor({ message, name }: SentError) {
    super(message);
    this.name = name;
  }
}

export function sendError(error: unknown): SentError {
  const it = error instanceof Error ? error : new Error(String(error));
  const part = (name: keyof Problem) => (name in it ? String(Reflect.get(it, name)) : '');
  return {
    name: it.name,
    message: it.message,
    subject: part('subject'),
    expected: part('expected'),
    actual: part('actual'),
    remedy: part('remedy'),
    isTyped: it instanceof FlashMlaError,
    ...(it instanceof ApiError && { status: it.status }),
  };
}

/** The error that was sent, of its class where a caller reacts to it. */
export function receiveError(sent: SentError): Error {
  const { message, name, status } = sent;
  if (status !== undefined) return new ApiError(message, { status });
  const known = Object.hasOwn(classes, name) ? classes[name as keyof typeof classes] : undefined;
  if (known !== undefined) return new known(sent);
  if (name === 'RunnerError') return new RunnerError(sent, { fatal: false });
  return sent.isTyped ? new LoadError(sent) : new Error(message);
}

/** An outcome holds errors of the engine. */
export function asEngineError(error: Error): EngineError {
  if (error instanceof EngineError) return error;
  const problem = {
    subject: 'the engine',
    expected: 'an answer',
    actual: error.message,
    remedy: 'See the cause; the request can be sent again.',
  };
  return new EngineError(problem, { cause: error });
}
