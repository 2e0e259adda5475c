import type { ApiError } from '../errors.ts';

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** An error in OpenAI's form. */
export function openAiError({ message, type, param, code }: ApiError): ErrorBody {
  return { error: { message, type, param, code } };
}

/** When, and whether, a client should try again. */
export function retryHeaders({ status, retryAfter }: ApiError): Record<string, string> {
  if (status === 504) return { 'x-should-retry': 'false' };
  if (retryAfter === undefined) return {};
  return { 'retry-after': String(Math.max(1, Math.ceil(retryAfter))), 'x-should-retry': 'true' };
}
