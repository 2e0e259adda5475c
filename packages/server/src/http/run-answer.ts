import { ApiError } from '../errors.ts';
import { apiErrorOf } from '../errors-of-engine.ts';
import { Answer } from '../generate/answer.ts';
import { type CollectedChoice, collect, emptyChoice } from '../generate/collect.ts';
import type { GenerationEvent, GenerationRequest } from '../generate/request.ts';
import { AnswerObserver } from '../telemetry/observe-answer.ts';
import type { ServerContext } from './context.ts';
import { EventStream } from './event-stream.ts';
import type { Exchange } from './exchange.ts';

/** Starts the generations of an exchange; they end when its client goes away. */
async function start(
  { engine, metrics }: ServerContext,
  exchange: Exchange,
  requests: readonly GenerationRequest[],
): Promise<{ readonly answer: Answer; readonly observer: AnswerObserver }> {
  const answer = await Answer.start(engine, requests);
  const observer = new AnswerObserver(metrics, exchange.arrivedAt, requests);
  exchange.onAbort(() => {
    metrics.aborted.inc(metrics.labels({ reason: 'client' }));
    answer.cancel();
  });
  return { answer, observer };
}

/** Runs the generations and collects the whole answer. @throws ApiError where a choice has failed */
export async function collectAnswer(
  context: ServerContext,
  exchange: Exchange,
  requests: readonly GenerationRequest[],
): Promise<CollectedChoice[]> {
  const { answer, observer } = await start(context, exchange, requests);
  const choices = Array.from({ length: answer.numChoices }, emptyChoice);
  answer.listen((events) => {
    observer.take(events);
    for (const event of events) {
      const choice = choices[event.index];
      if (choice !== undefined) collect(choice, event);
    }
  });
  await answer.done;
  for (const { reason } of choices) {
    const error = reason && failureOf(reason);
    if (error !== undefined) throw error;
  }
  return choices;
}

/** Writes the events of an answer in a protocol's form. */
export interface StreamWriter {
  /** Before anything was generated. */
  begin(): string[];
  write(event: GenerationEvent): string[];
  /** Behind the last event. */
  end(): string[];
  /** In place of what would have come; nothing follows. */
  fail(error: ApiError): string[];
}

/** Runs the generations and streams them. The headers go out when the engine has taken the request. */
export async function streamAnswer(
  context: ServerContext,
  exchange: Exchange,
  requests: readonly GenerationRequest[],
  writer: StreamWriter,
): Promise<void> {
  const { answer, observer } = await start(context, exchange, requests);
  const { keepAliveMs, maxBufferedBytes } = context.options;
  const stream = new EventStream(exchange.response, {
    keepAliveMs,
    maxBufferedBytes,
    onOverflow: () => answer.cancel(),
  });
  let hasFailed = false;
  stream.send(writer.begin());
  answer.listen((events) => {
    observer.take(events);
    const out: string[] = [];
    for (const event of events) {
      if (hasFailed) break;
      const error = event.kind === 'finish' ? failureOf(event.reason) : undefined;
      hasFailed = error !== undefined;
      out.push(...(error === undefined ? writer.write(event) : writer.fail(error)));
    }
    stream.send(out);
    if (hasFailed) answer.cancel();
  });
  await answer.done;
  if (!hasFailed) stream.send(writer.end());
  stream.end();
}

/** The error that an end means, if it means one. */
function failureOf(
  reason: Extract<GenerationEvent, { kind: 'finish' }>['reason'],
): ApiError | undefined {
  if (reason.kind === 'error') return apiErrorOf(reason.error);
  if (reason.kind === 'deadline')
    return new ApiError('The request took longer than it was allowed to.', {
      status: 504,
      type: 'timeout_error',
      code: 'timeout',
    });
  if (reason.kind === 'cancelled')
    return new ApiError('The request was ended by the server.', {
      status: 503,
      type: 'overloaded_error',
      code: 'cancelled',
      retryAfter: 1,
    });
  return undefined;
}
