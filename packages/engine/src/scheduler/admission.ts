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
      const prompts = [...prefilling.map(partOf), this.#partOfWaiting(request)];
      const lengths = cut(prompts);
      const numPartial = prompts.filter(({ remaining }, i) => lengths[i] !== remaining).length;
      if (numPartial > this.#options.maxPartialPrefills) return;
      if (kv.pagesOf(request.tokens.length + 1) > kv.pool.numPages) {
        // Only a preempted request can have become so long.
        this.#requests.finish(request, { reason: 'length' }, now);
      } else if (this.#shouldWait(request, prefilling)) {
        passedOver.add(request);
      } else {
        if (!this.#fits(request)) return;
        const table = kv.open(request.pageKeys.keys, request.tokens.length);
        if (table === undefined) return;
        this.#requests.start(request, table, now);
      }
    }
  }

  /** Preempts requests for one that waits and is far more urgent, if it would not fit otherwise. */
  makeRoom(now: number): void {
    const { running, waiting } = this.#requests;
    const urgent = waiting.next(now);
    if (urgent === undefined) return;
    // What is coming back may be enough.
    while (!this.#requests.isReleasing) {
      const victim = running.last;
      if (victim === undefined) return;
      if (victim.priority - urgent.priority < this.#options.preemptionGap) return;
      if (running.numFreeSlots > 0 && this.#fits(urgent)) return;
      this.#requests.preempt(victim);
    }
  }

  #shouldWait(request: Request, prefilling: readonly Request[]): boolean {
    // One long prompt at a time, so that short ones find a place beside it.
    if (this.#isLong(request) && prefilling.some((other) => this.#isLong(other))) return true;
    // Another request is just computing this one's next page: in a moment it will be in the cache.
    const { keys, pageSize } = request.pageKeys;
    const next = this.#requests.kv.costOf(keys, request.tokens.length).numCachedPages;
    if ((next + 1) * pageSize >= request.tokens.length) return false;
    for (const other of this.#requests.running) {
      const isComputing = other.numComputed < other.promptLength;
      if (isComputing && other.pageKeys.keys[next] === keys[next]) return true;
    }
    return false;
  }

  #partOfWaiting({ pageKeys, tokens }: Request): PartialPrompt {
    const { numCachedPages } = this.#requests.kv.costOf(pageKeys.keys, tokens.length);
    const start = numCachedPages * pageKeys.pageSize;
    return { start, remaining: tokens.length - start };
  }

  #isLong({ tokens, numScheduled }: Request): boolean {
    return tokens.length - numScheduled > this.#longFrom;
  }

  /** Whether the pages suffice for the request, and for what all are expected to generate. */
  #fits(request: Request): boolean {
    const { kv, running } = this.#requests;
    const { numFreePages } = kv.costOf(request.pageKeys.keys, request.tokens.length);
    if (running.size === 0) return numFreePages <= kv.pool.numFree;
    let expected = this.#expectedTokens(request);
    for (const other of running) expected += this.#expectedTokens(other);
    // A preempted request comes back only when there is room for more than the next page of each:
    // else it would be preempted again at once.
    const isPreempted = request.state.kind === 'waiting' && request.state.after === 'preemption';
    const margin = isPreempted ? running.size + 1 : 0;
    return numFreePages + kv.pagesOf(expected) + margin <= kv.pool.numFree;
  }

  #expectedTokens({ maxLength, tokens }: Request): number {
    return this.#reserve.expect(Math.max(0, maxLength - tokens.length));
  }
}

/** What of a running request's prompt is in no step yet. */
export function partOf({ tokens, numScheduled: start }: Request): PartialPrompt {
  return { start, remaining: tokens.length - start };
}
