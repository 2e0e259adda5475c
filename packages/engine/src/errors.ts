import { type Problem, ProblemError } from '@flash-mla/core';

export type { Problem };

/** The base of every error this package throws or reports on purpose. */
export class EngineError extends ProblemError {
  override readonly name: string = 'EngineError';
}

/** An option of the engine is impossible. */
export class EngineOptionError extends EngineError {
  override readonly name = 'EngineOptionError';
}

/** A request is malformed. An HTTP server answers 400. */
export class InvalidRequestError extends EngineError {
  override readonly name = 'InvalidRequestError';
}

/** A request can never run: its prompt is longer than the model's context or than the whole KV cache. */
export class RequestTooLongError extends EngineError {
  override readonly name = 'RequestTooLongError';
}

/** Too many requests or tokens wait already. An HTTP server answers 429. */
export class QueueFullError extends EngineError {
  override readonly name = 'QueueFullError';
}

/** The engine is closed, or a failure of the runner stopped it. An HTTP server answers 503. */
export class EngineStoppedError extends EngineError {
  override readonly name = 'EngineStoppedError';
}

/** Pages are used against the rules: released twice, retained while free. It is a defect of the caller. */
export class KvCacheError extends EngineError {
  override readonly name = 'KvCacheError';
}

/**
 * A step failed. A runner throws it with `fatal: true` when no later step can succeed (a lost device);
 * whatever else a runner throws is wrapped in one that is not fatal.
 */
export class RunnerError extends EngineError {
  override readonly name = 'RunnerError';
  readonly fatal: boolean;
  constructor(problem: Problem, options: ErrorOptions & { readonly fatal: boolean }) {
    super(problem, options);
    this.fatal = options.fatal;
  }
}

/** What restricts a request's text has failed, or the runner sampled what it forbids. */
export class ConstraintError extends EngineError {
  override readonly name = 'ConstraintError';
}

export function constraintError(cause: unknown): ConstraintError {
  if (cause instanceof ConstraintError) return cause;
  const problem = {
    subject: 'the constraint of a request',
    expected: 'the tokens that may come next',
    actual: cause instanceof Error ? cause.message : String(cause),
    remedy: 'See the cause; the request can be sent again.',
  };
  return new ConstraintError(problem, { cause });
}
