import { ApiError } from '../errors.ts';

/** Which requests may begin: none while the server shuts down, and not too many of one key. */
export class Admission {
  readonly #maxPerKey: number;
  readonly #open = new Map<string, number>();
  #numOpen = 0;
  #isDraining = false;
  #onIdle: (() => void) | undefined;

  constructor(maxPerKey: number) {
    this.#maxPerKey = maxPerKey;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Requests that have begun and not ended. */
  get numOpen(): number {
    return this.#numOpen;
  }

  /** Begins a request; call what it returns when the request has ended. @throws ApiError 429, 503 */
  enter(tenant: string): () => void {
    if (this.#isDraining)
      throw new ApiError('The server is shutting down.', {
        status: 503,
        type: 'overloaded_error',
        code: 'draining',
        retryAfter: 5,
      });
    const numOpen = this.#open.get(tenant) ?? 0;
    if (numOpen >= this.#maxPerKey)
      throw new ApiError(`A key may have ${this.#maxPerKey} requests at a time.`, {
        status: 429,
        type: 'rate_limit_error',
        code: 'concurrency_limit_exceeded',
        retryAfter: 1,
      });
    this.#open.set(tenant, numOpen + 1);
    this.#numOpen++;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#numOpen--;
      const rest = (this.#open.get(tenant) ?? 1) - 1;
      if (rest === 0) this.#open.delete(tenant);
      else this.#open.set(tenant, rest);
      if (this.#numOpen === 0) this.#onIdle?.();
    };
  }

  /** Lets nothing new begin, and resolves when all has ended, at the latest after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#numOpen === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
  }
}
