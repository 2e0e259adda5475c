import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { JsonAnswer } from './json-answer.ts';

/** One request over HTTP and the answer to it. */
export class Exchange {
  /** What client and server call it: the client may have chosen it, so it need not be unique. */
  readonly id: string;
  /** Unique in this process. */
  readonly key = randomUUID();
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** By `performance.now`. */
  readonly arrivedAt = performance.now();
  /** Who asks: see `ApiKeys.tenantOf`. */
  tenant = '';
  /** Has begun an answer that errors have to go into. */
  failWith: JsonAnswer | undefined;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    const given = request.headers['x-request-id'];
    const isUsable = typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given);
    this.id = isUsable ? given : randomUUID();
    response.setHeader('x-request-id', this.id);
  }

  /** Answers with JSON; into the answer that has begun, if one has. A stream keeps what it has. */
  json(status: number, body: object, headers: Readonly<Record<string, string>> = {}): void {
    const answer = this.failWith ?? new JsonAnswer(this.response, undefined);
    answer.send(status, body, headers);
  }

  /** Calls back when the client goes away before the answer is whole; at once if it has gone. */
  onAbort(callback: () => void): void {
    const check = () => {
      if (!this.response.writableFinished) callback();
    };
    if (this.response.destroyed || this.response.closed) check();
    else this.response.on('close', check);
  }
}
