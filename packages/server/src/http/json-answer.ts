import type { ServerResponse } from 'node:http';

export interface EarlyHeaders {
  /** After so long without an answer the headers and blanks go out, which JSON may begin with. */
  readonly afterMs: number;
  readonly everyMs: number;
}

/**
 * A JSON answer that may take long. Clients give up after minutes without headers, so after a while the
 * status 200 goes out, and blanks; an error is in the body then.
 */
export class JsonAnswer {
  readonly #response: ServerResponse;
  #timer: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, early: EarlyHeaders | undefined) {
    this.#response = response;
    if (early === undefined) return;
    this.#timer = setTimeout(() => {
      this.#begin(200, {});
      this.#timer = setInterval(() => response.write('\n'), early.everyMs);
      this.#timer.unref();
    }, early.afterMs);
    this.#timer.unref();
    response.on('close', () => clearInterval(this.#timer));
  }

  send(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    clearInterval(this.#timer);
    if (this.#response.destroyed || this.#response.writableEnded) return;
    this.#begin(status, headers);
    this.#response.end(JSON.stringify(body));
  }

  #begin(status: number, headers: Readonly<Record<string, string>>): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      ...headers,
    });
  }
}
