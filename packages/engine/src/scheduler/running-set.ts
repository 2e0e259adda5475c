import type { Request } from '../request/request.ts';

/** Requests with pages and a row of the batch, the best priority first, then the oldest. */
export class RunningSet {
  readonly #requests: Request[] = [];
  readonly #freeSlots: number[];

  constructor(maxRunning: number) {
    this.#freeSlots = Array.from({ length: maxRunning }, (_, i) => maxRunning - 1 - i);
  }

  get size(): number {
    return this.#requests.length;
  }

  get numFreeSlots(): number {
    return this.#freeSlots.length;
  }

  takeSlot(): number | undefined {
    return this.#freeSlots.pop();
  }

  giveSlot(slot: number): void {
    this.#freeSlots.push(slot);
  }

  add(request: Request): void {
    const after = this.#requests.findIndex((other) => isBefore(request, other));
    this.#requests.splice(after === -1 ? this.size : after, 0, request);
  }

  remove(request: Request): void {
    const at = this.#requests.indexOf(request);
    if (at !== -1) this.#requests.splice(at, 1);
  }

  /** Who should give way to `request`: the last one behind it that fulfils a condition. */
  lastBehind(request: Request, accept: (candidate: Request) => boolean): Request | undefined {
    for (let i = this.size - 1; i >= 0; i--) {
      const candidate = this.#requests[i];
      if (candidate === undefined || candidate === request) return undefined;
      if (accept(candidate)) return candidate;
    }
    return undefined;
  }

  /** A copy in order: requests may leave while it is walked. */
  list(): Request[] {
    return [...this.#requests];
  }

  [Symbol.iterator](): Iterator<Request> {
    return this.#requests.values();
  }
}

function isBefore(a: Request, b: Request): boolean {
  return (a.priority - b.priority || a.order - b.order) < 0;
}
