import type { OpenCost } from '../kv-cache/kv-cache.ts';
import type { ResolvedOptions } from '../options.ts';
import type { Request } from '../request/request.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { OutputReserve } from './output-reserve.ts';
import type { PartialPrompt } from './prefill-chunks.ts';

/** A prompt is long from this share of the model's context on, as in vLLM, and from so many tokens. */
const [longShare, longTokens] = [0.04, 512];

/** Decides who of those that wait comes into the batch. */
export class Admission {
  readonly #options: ResolvedOptions;
  readonly #requests: Lifecycle;
  readonly #reserve: OutputReserve;
  readonly #longFrom: number;

  constructor(options: ResolvedOptions, requests: Lifecycle, reserve: OutputReserve) {
    this.#options = options;
    this.#requests = requests;
    this.#reserve = reserve;
    this.#longFrom = Math.max(longShare * options.maxModelLength, longTokens);
  }

  /**
   * Starts requests in their order while there are rows, pages and room in the step. The first that
   * does not fit stops it: smaller ones behind must not keep it waiting for ever.
   */
  admit(now: number, cut: (prompts: readonly PartialPrompt[]) => readonly number[]): void {
    const { kv, running, waiting } = this.#requests;
    const passedOver = new Set<Request>();
    while (running.numFreeSlots > 0) {
      const prefilling = running.list().filter(({ state }) => state.kind === 'prefill');
      const request = waiting.next(now, passedOver);
      if (request === undefined) return;
      const cost = kv.costOf(request.pageKeys.keys, request.tokens.length);
      const start = cost.numCachedPages * kv.pageSize;
      const part = { start, remaining: request.tokens.length - start };
      const prompts = [...prefilling.map(partOf), part];
      const lengths = cut(prompts);
      const numPartial = prompts.filter(({ remaining }, i) => lengths[i] !== remaining).length;
      if (numPartial > this.#options.maxPartialPrefills) return;
      if (request.tokens.length > this.#requests.longestPrefill) {
        // Only a preempted request can have become so long.
        this.#requests.finish(request, { reason: 'length' }, now);
      } else if (this.#shouldWait(request, cost)) {
        passedOver.add(request);
      } else {
        if (!this.#fits(request, cost)) return;
        if (!this.#requests.start(request, now)) return;
      }
    }
  }

  /** Preempts requests for one that waits and is far more urgent, if it would not fit otherwise. */
  makeRoom(now: number): void {
    const { kv, running, waiting } = this.#requests;
    const urgent = waiting.next(now);
    if (urgent === undefined) return;
    const least = waiting.level(urgent, now) + this.#options.preemptionGap;
    // What is coming back may be enough.
    while (!this.#requests.isReleasing) {
      const victim = this.#leastUrgent(now);
      // By the level that decides who comes next: else the victim would come back at once.
      if (victim === undefined || waiting.level(victim, now) < least) return;
      const cost = kv.costOf(urgent.pageKeys.keys, urgent.tokens.length);
      if (this.#shouldWait(urgent, cost)) return;
      if (running.numFreeSlots > 0 && this.#fits(urgent, cost)) return;
      this.#requests.preempt(victim);
    }
  }

  /** Of those that run, the one with the worst level; of these the newest. */
  #leastUrgent(now: number): Request | undefined {
    const { running, waiting } = this.#requests;
    let worst: Request | undefined;
    for (const request of running) {
      const isWorse =
        worst === undefined ||
        (waiting.level(request, now) - waiting.level(worst, now) || request.order - worst.order) >
          0;
      if (isWorse) worst = request;
    }
    return worst;
  }

  #shouldWait(request: Request, { numCachedPages: next }: OpenCost): boolean {
    const { keys, pageSize } = request.pageKeys;
    // One long prompt at a time, so that short ones find a place beside it.
    const isLong = request.tokens.length - next * pageSize > this.#longFrom;
    const needsNext = (next + this.#requests.kv.pagesShared) * pageSize < request.tokens.length;
    for (const other of this.#requests.running) {
      const isPrefilling = other.state.kind === 'prefill';
      if (isLong && isPrefilling && partOf(other).remaining > this.#longFrom) return true;
      // The other is just computing this one's next page: in a moment it will be in the cache.
      const isComputing = other.numComputed < other.promptLength;
      if (needsNext && isComputing && other.pageKeys.keys[next] === keys[next]) return true;
    }
    return false;
  }

  /** Whether the pages suffice for the request, and for what all are expected to generate. */
  #fits(request: Request, { numFreePages }: OpenCost): boolean {
    const { kv, running } = this.#requests;
    if (running.size === 0)
      return numFreePages <= kv.pool.numFree && this.#fitsOnDevice(request, 0);
    let expected = this.#expectedTokens(request);
    for (const other of running) expected += this.#expectedTokens(other);
    // A preempted request comes back only when there is room for more than the next page of each:
    // else it would be preempted again at once.
    const isPreempted = request.state.kind === 'waiting' && request.state.after === 'preemption';
    const margin = isPreempted ? running.size + 1 : 0;
    if (numFreePages + kv.pagesOf(expected) + margin > kv.pool.numFree) return false;
    return this.#fitsOnDevice(request, margin);
  }

  /** With HiSparse: whether the device has pages for the prefill, and for hot buffers to grow. */
  #fitsOnDevice(request: Request, margin: number): boolean {
    const { hisparse, running } = this.#requests;
    if (hisparse === undefined) return true;
    const growthOf = (other: Request) => {
      const { length } = other.tokens;
      const most = hisparse.pagesOfBuffer(length + this.#expectedTokens(other));
      return Math.max(0, most - hisparse.pagesOfBuffer(length));
    };
    let needed = hisparse.pagesOfPrefill(request.tokens.length) + margin;
    for (const other of running) needed += growthOf(other);
    return needed <= hisparse.pool.numFree;
  }

  #expectedTokens({ maxLength, tokens }: Request): number {
    return this.#reserve.expect(Math.max(0, maxLength - tokens.length));
  }
}

/** What of a running request's prompt is in no step yet. */
export function partOf({ tokens, numScheduled: start }: Request): PartialPrompt {
  return { start, remaining: tokens.length - start };
}
