import type { Request } from '../request/request.ts';
import type { FairShare } from './fair-share.ts';

/**
 * Requests without pages. Next comes the one of the best priority; among those the one whose tenant had
 * least; among those the oldest. Waiting improves the priority, so nobody waits for ever.
 */
export class WaitingQueue {
  readonly #requests = new Set<Request>();
  readonly #shares: FairShare;
  readonly #agingMs: number;
  #numTokens = 0;

  constructor(shares: FairShare, agingMs: number) {
    this.#shares = shares;
    this.#agingMs = agingMs;
  }

  get size(): number {
    return this.#requests.size;
  }

  /** Tokens to compute for those who wait, if nothing were cached. */
  get numTokens(): number {
    return this.#numTokens;
  }

  add(request: Request): void {
    this.#requests.add(request);
    this.#numTokens += request.tokens.length;
  }

  remove(request: Request): void {
    if (this.#requests.delete(request)) this.#numTokens -= request.tokens.length;
  }

  /** Who is next, leaving out those that are passed over. */
  next(now: number, passedOver?: ReadonlySet<Request>): Request | undefined {
    let best: Request | undefined;
    for (const request of this.#requests) {
      if (passedOver?.has(request)) continue;
      if (best === undefined || this.#compare(request, best, now) < 0) best = request;
    }
    return best;
  }

  /** A request's priority, better by a level for each `agingMs` since it came. */
  level({ priority, stats }: Request, now: number): number {
    return priority - Math.floor((now - stats.arrivedAt) / this.#agingMs);
  }

  [Symbol.iterator](): Iterator<Request> {
    return this.#requests.values();
  }

  #compare(a: Request, b: Request, now: number): number {
    return (
      this.level(a, now) - this.level(b, now) ||
      this.#shares.served(a.tenant) - this.#shares.served(b.tenant) ||
      a.order - b.order
    );
  }
}
