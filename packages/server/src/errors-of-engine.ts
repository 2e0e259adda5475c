import {
  ConstraintError,
  EngineStoppedError,
  InvalidRequestError,
  QueueFullError,
  RequestTooLongError,
} from '@flash-mla/engine';
import { ApiError, badRequest, GrammarError } from './errors.ts';

/** What a client is told about an error that came from inside. Nothing of the inside is given away. */
export function apiErrorOf(error: unknown, retryAfter = 1): ApiError {
  if (error instanceof ApiError) return error;
  const cause = { cause: error };
  if (error instanceof RequestTooLongError)
    return new ApiError(
      `The prompt is too long: it may have ${error.expected}, and has ${error.actual}.`,
      {
        status: 400,
        code: 'context_length_exceeded',
        param: 'messages',
        ...cause,
      },
    );
  if (error instanceof GrammarError)
    return badRequest(error.message, 'response_format', 'invalid_schema');
  if (error instanceof InvalidRequestError) return badRequest(error.message);
  if (error instanceof QueueFullError)
    return new ApiError('Too many requests are waiting. Send it again later.', {
      status: 429,
      type: 'rate_limit_error',
      code: 'server_overloaded',
      retryAfter,
      ...cause,
    });
  if (error instanceof EngineStoppedError)
    return new ApiError('The engine is not running.', {
      status: 503,
      type: 'overloaded_error',
      code: 'not_ready',
      retryAfter: 10,
      ...cause,
    });
  if (error instanceof ConstraintError)
    return new ApiError('The output could not be held to its format.', {
      status: 500,
      code: 'constraint_failed',
      ...cause,
    });
  return new ApiError('The server had an error while it worked on the request.', {
    status: 500,
    code: 'internal_error',
    ...cause,
  });
}
