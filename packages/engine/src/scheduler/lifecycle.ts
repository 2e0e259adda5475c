import { constraintError, KvCacheError } from '../errors.ts';
import { type BlockTable, KvCache } from '../kv-cache/kv-cache.ts';
import type { ResolvedOptions } from '../options.ts';
import type { Request } from '../request/request.ts';
import type { Outcome, RequestStats, RunningState } from '../request/state.ts';
import type { TokenLogprobs } from '../runner/logprobs.ts';
import { DeferredFrees } from './deferred-frees.ts';
import { FairShare } from './fair-share.ts';
import { RunningSet } from './running-set.ts';
import { WaitingQueue } from './waiting-queue.ts';

/** What the engine tells about a request. */
export type EngineEvent =
  | {
      readonly kind: 'token';
      readonly id: string;
      readonly index: number;
      readonly token: number;
      /** Where the request has asked for them. */
      readonly logprobs?: TokenLogprobs;
    }
  | {
      readonly kind: 'finished';
      readonly id: string;
      readonly index: number;
      readonly outcome: Outcome;
      readonly stats: RequestStats;
    };

/** What a step has brought for a request. */
export interface Sampled {
  readonly token: number;
  readonly logprobs?: TokenLogprobs | undefined;
}

/** Counts since the engine began. */
export interface Totals {
  preemptions: number;
  promptTokens: number;
  /** Tokens of prompts that were looked for in the prefix cache, and those that were there. */
  prefixCacheQueries: number;
  prefixCacheHits: number;
  outputTokens: number;
  wastedTokens: number;
  finished: Record<Outcome['reason'], number>;
}

/**
 * The states of all requests, and every change from one to another. A request that leaves the batch
 * leaves it at once for the scheduler; its pages and its row stay taken while a step that may use them is
 * in flight.
 */
export class Lifecycle {
  readonly kv: KvCache;
  readonly shares = new FairShare();
  readonly waiting: WaitingQueue;
  readonly running: RunningSet;
  readonly totals: Totals = {
    preemptions: 0,
    promptTokens: 0,
    prefixCacheQueries: 0,
    prefixCacheHits: 0,
    outputTokens: 0,
    wastedTokens: 0,
    finished: { stop: 0, length: 0, cancelled: 0, deadline: 0, error: 0 },
  };
  readonly #live = new Map<string, Request[]>();
  readonly #leaving = new DeferredFrees<RunningState>();
  #events: EngineEvent[] = [];
  #launched = 0;
  #done = 0;

  constructor(options: ResolvedOptions) {
    this.kv = new KvCache(options);
    this.waiting = new WaitingQueue(this.shares, options.agingMs);
    this.running = new RunningSet(options.maxRunning);
  }

  /** Callers' requests that have not ended. */
  get numLive(): number {
    return this.#live.size;
  }

  /** The choices of a request that have not ended. */
  find(id: string): readonly Request[] {
    return this.#live.get(id) ?? [];
  }

  ids(): string[] {
    return [...this.#live.keys()];
  }

  /** → waiting */
  arrive(id: string, choices: Request[]): void {
    this.#live.set(id, choices);
    for (const request of choices) {
      this.shares.enter(request.tenant);
      this.waiting.add(request);
    }
    this.totals.promptTokens += choices[0]?.promptLength ?? 0;
  }

  /** waiting → prefill, with pages for all its tokens. Undefined when there is no row for it. */
  start(request: Request, table: BlockTable, now: number): RunningState | undefined {
    const slot = this.running.takeSlot();
    if (slot === undefined) return undefined;
    const { stats } = request;
    this.waiting.remove(request);
    this.running.add(request);
    request.numScheduled = table.numCachedTokens;
    request.numComputed = table.numCachedTokens;
    if (stats.startedAt === undefined) {
      stats.startedAt = now;
      stats.cachedTokens = table.numCachedTokens;
      this.totals.prefixCacheQueries += request.promptLength;
      this.totals.prefixCacheHits += table.numCachedTokens;
    }
    const state = { kind: 'prefill', table, slot } as const;
    request.state = state;
    return state;
  }

  /** prefill → decode: its last chunk is in a step. */
  decode(request: Request, { table, slot }: RunningState): void {
    request.state = { kind: 'decode', table, slot };
  }

  /** prefill, decode → waiting. What it computed stays in the prefix cache while there is room. */
  preempt(request: Request): void {
    const state = request.running;
    if (state === undefined) return;
    const { stats } = request;
    stats.preemptions++;
    stats.recomputedTokens += request.numScheduled - state.table.numCachedTokens;
    this.totals.preemptions++;
    this.#leave(request, state);
    request.state = { kind: 'waiting', after: 'preemption' };
    this.waiting.add(request);
  }

  /** waiting, prefill, decode → finished. A request that has ended stays as it is. */
  finish(request: Request, outcome: Outcome, now: number): void {
    const { state, id, index, stats } = request;
    if (state.kind === 'finished') return;
    if (state.kind === 'waiting') this.waiting.remove(request);
    else this.#leave(request, state);
    request.state = { kind: 'finished', outcome };
    request.constraint?.close?.();
    stats.finishedAt = now;
    this.shares.leave(request.tenant);
    this.totals.finished[outcome.reason]++;
    this.#forget(request);
    this.#events.push({ kind: 'finished', id, index, outcome, stats: { ...stats } });
  }

  /** decode: a sampled token has come. */
  append(request: Request, sampled: Sampled, now: number): void {
    const { id, index } = request;
    const { token, logprobs } = sampled;
    try {
      request.constraint?.accept(token);
    } catch (cause) {
      this.finish(request, { reason: 'error', error: constraintError(cause) }, now);
      return;
    }
    request.append(token, now);
    this.totals.outputTokens++;
    this.#events.push({ kind: 'token', id, index, token, ...(logprobs && { logprobs }) });
    const reason = request.endAfter(token);
    if (reason !== undefined) this.finish(request, { reason }, now);
  }

  get hasEvents(): boolean {
    return this.#events.length > 0;
  }

  takeEvents(): EngineEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** The number of the step that is launched now. */
  launch(): number {
    return ++this.#launched;
  }

  /** A step has answered: nothing in flight uses what waited for it. */
  stepDone(step: number): void {
    this.#done = step;
    for (const state of this.#leaving.take(step)) this.#release(state);
  }

  /** Whether steps in flight hold pages or rows of requests that have left. */
  get isReleasing(): boolean {
    return this.#leaving.length > 0;
  }

  /** Pages that become free when the steps in flight have answered. */
  get pagesComing(): number {
    let count = 0;
    for (const { table } of this.#leaving) count += this.kv.exclusivePages(table);
    return count;
  }

  /** @throws KvCacheError if pages or rows are lost or counted twice. */
  checkIntegrity(): void {
    const { kv, running } = this;
    kv.pool.checkIntegrity();
    const tables: BlockTable[] = [...this.#leaving].map(({ table }) => table);
    for (const request of running) if (request.running) tables.push(request.running.table);
    const references = new Map<number, number>();
    for (const page of tables.flatMap(({ pages }) => pages))
      references.set(page, (references.get(page) ?? 0) + 1);
    const counted = [...references].every(([page, count]) => kv.pool.refCount(page) === count);
    const isWhole = references.size + kv.pool.numFree === kv.pool.numPages;
    if (counted && isWhole && tables.length === kv.numOpen) return;
    throw new KvCacheError({
      subject: 'the KV cache',
      expected: `the pages of ${tables.length} sequences and ${kv.pool.numFree} free ones to be all`,
      actual: `${references.size} pages in use, ${kv.numOpen} sequences`,
      remedy: 'This is a defect of the engine: please report it.',
    });
  }

  #leave(request: Request, state: RunningState): void {
    this.running.remove(request);
    request.stats.wastedTokens += request.numPending;
    this.totals.wastedTokens += request.numPending;
    request.startAnew();
    if (this.#launched > this.#done) this.#leaving.add(this.#launched, state);
    else this.#release(state);
  }

  #release({ table, slot }: RunningState): void {
    this.kv.close(table);
    this.running.giveSlot(slot);
  }

  #forget(request: Request): void {
    const choices = this.find(request.id).filter((other) => other !== request);
    if (choices.length === 0) this.#live.delete(request.id);
    else this.#live.set(request.id, choices);
  }
}
