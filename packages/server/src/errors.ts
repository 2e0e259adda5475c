import { FlashMlaError, type Problem, ProblemError } from '@flash-mla/core';

export type { Problem };

/** An option of the server is impossible, or unsafe and not asked for in so many words. */
export class ServerOptionError extends ProblemError {
  override readonly name = 'ServerOptionError';
}

/** A grammar is wrong, is too large or takes too long. */
export class GrammarError extends ProblemError {
  override readonly name = 'GrammarError';
}

/** The kinds of errors that OpenAI's API knows. */
export type ApiErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'server_error'
  | 'overloaded_error'
  | 'timeout_error';

export interface ApiErrorOptions extends ErrorOptions {
  readonly status: number;
  readonly type?: ApiErrorType;
  readonly code?: string;
  /** The field of the request that is wrong. */
  readonly param?: string;
  /** Seconds after which the request may succeed. */
  readonly retryAfter?: number;
}

/** What a client is told, with the status of the answer. */
export class ApiError extends FlashMlaError {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly type: ApiErrorType;
  readonly code: string | null;
  readonly param: string | null;
  readonly retryAfter: number | undefined;
  constructor(message: string, options: ApiErrorOptions) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.type = options.type ?? (options.status < 500 ? 'invalid_request_error' : 'server_error');
    this.code = options.code ?? null;
    this.param = options.param ?? null;
    this.retryAfter = options.retryAfter;
  }
}

/** A request that is wrong in itself. */
export function badRequest(message: string, param?: string, code = 'invalid_value'): ApiError {
  return new ApiError(message, { status: 400, code, ...(param !== undefined && { param }) });
}
