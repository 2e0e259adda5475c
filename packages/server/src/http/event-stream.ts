import type { ServerResponse } from 'node:http';

export interface EventStreamOptions {
  /** A comment goes out after so much silence, so that no proxy cuts the stream. */
  readonly keepAliveMs: number;
  /** Bytes that may wait for a slow reader. */
  readonly maxBufferedBytes: number;
  /** The reader does not keep up: its request should end. */
  readonly onOverflow: () => void;
}

/**
 * Server-sent events over a response. What a slow reader has not taken waits in memory, up to a bound;
 * the engine never waits for it.
 */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #options: EventStreamOptions;
  #timer: NodeJS.Timeout;
  #isOpen = true;

  /** Sends the status and the headers at once. */
  constructor(response: ServerResponse, options: EventStreamOptions) {
    this.#response = response;
    this.#options = options;
    response.socket?.setNoDelay(true);
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    response.flushHeaders();
    this.#timer = setInterval(() => this.#write(': keep-alive\n\n'), options.keepAliveMs);
    this.#timer.unref();
    response.on('close', () => this.#stop());
  }

  /** One write for all that one step has brought. */
  send(events: readonly string[]): void {
    if (events.length === 0) return;
    this.#timer.refresh();
    this.#write(events.join(''));
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#stop();
    this.#response.end();
  }

  #write(text: string): void {
    if (!this.#isOpen) return;
    if (this.#response.writableLength > this.#options.maxBufferedBytes) {
      this.#stop();
      this.#options.onOverflow();
      // What waits would keep the memory until the reader goes.
      this.#response.destroy();
      return;
    }
    this.#response.write(text);
  }

  #stop(): void {
    this.#isOpen = false;
    clearInterval(this.#timer);
  }
}

/** An event without a name, as in OpenAI's streams. */
export function dataEvent(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** An event with a name, as in Anthropic's and in the Responses API. */
export function namedEvent(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

export const doneEvent = 'data: [DONE]\n\n';
