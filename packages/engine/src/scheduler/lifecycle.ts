import { constraintError, KvCacheError } from '../errors.ts';
import type { DevicePages } from '../hisparse/device-pages.ts';
import type { HiSparse } from '../hisparse/hisparse.ts';
import { type BlockTable, KvCache } from '../kv-cache/kv-cache.ts';
import { numKvPages, type ResolvedOptions } from '../options.ts';
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
  readonly hisparse: HiSparse | undefined;
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
  /** No step uses their pages, but a copy does. */
  #copying: RunningState[] = [];

  constructor(options: ResolvedOptions, hisparse?: HiSparse) {
    const { deterministic, deterministicChunk, pageSize } = options;
    const chunkPages = deterministic ? deterministicChunk / pageSize : undefined;
    this.kv = new KvCache({ totalPages: numKvPages(options), pageSize, chunkPages });
    this.hisparse = hisparse;
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

  /** The longest sequence that can be prefilled, with room for the token after it. */
  get longestPrefill(): number {
    const { kv, hisparse } = this;
    const longest = kv.pool.numPages * kv.pageSize - 1;
    return hisparse ? Math.min(longest, hisparse.pool.numPages * kv.pageSize) : longest;
  }

  /** waiting → prefill, with pages for all its tokens. False, and nothing changed, without a row or pages for it. */
  start(request: Request, now: number): boolean {
    const { kv, hisparse, running } = this;
    if (running.numFreeSlots === 0) return false;
    const table = kv.open(request.pageKeys.keys, request.tokens.length);
    if (table === undefined) return false;
    const device = hisparse?.open(table, request.tokens.length);
    if (hisparse !== undefined && device === undefined) {
      kv.close(table);
      return false;
    }
    this.#start(request, table, device, now);
    return true;
  }

  #start(request: Request, table: BlockTable, device: DevicePages | undefined, now: number): void {
    const slot = this.running.takeSlot();
    if (slot === undefined) return;
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
    request.state = { kind: 'prefill', table, slot, device };
  }

  /** prefill → decode, with HiSparse → staging: its last chunk is in a step. */
  prefilled(request: Request, state: RunningState): void {
    request.state = { ...state, kind: this.hisparse === undefined ? 'decode' : 'staging' };
  }

  /** staging: its last chunk was computed, and goes to the host. */
  stage(request: Request, { table, device }: RunningState): void {
    if (device !== undefined) this.hisparse?.stage(device, table, request.numScheduled);
  }

  /**
   * Takes notice of copies that have ended: staging → decode; what was to be loaded for a prefill is there.
   * A request whose copy has failed is finished. Pages of requests that have left come back.
   */
  collectCopies(now: number): void {
    const left = this.#copying;
    this.#copying = [];
    for (const state of left) this.#release(state);
    for (const request of this.running.list()) {
      const state = request.running;
      const outcome = state?.device?.copy?.outcome;
      if (state?.device === undefined || outcome === undefined) continue;
      if (outcome !== 'done') this.finish(request, { reason: 'error', error: outcome }, now);
      else if (state.kind === 'staging') this.#staged(request, state, state.device);
      else state.device.copy = undefined;
    }
  }

  #staged(request: Request, state: RunningState, device: DevicePages): void {
    this.hisparse?.keepBuffer(device, request.numScheduled);
    this.computed(request, state, request.numScheduled - request.numComputed);
    request.state = { ...state, kind: 'decode' };
  }

  /** The K/V of so many more tokens is in the pages of the table: others can find them. */
  computed(request: Request, { table }: RunningState, numTokens: number): void {
    request.numComputed += numTokens;
    this.kv.publish(table, request.pageKeys.extend(request.tokens), request.numComputed);
  }

  /** Gets the pages for so many tokens. False when some are missing. */
  grow({ table, device }: RunningState, numTokens: number): boolean {
    if (!this.kv.grow(table, numTokens)) return false;
    return device === undefined || this.hisparse?.grow(device, numTokens) === true;
  }

  /** Whether pages that were missing for so many tokens come back by themselves. */
  areComing({ table }: RunningState, numTokens: number): boolean {
    const { hisparse, kv } = this;
    // Without this one's table, it is the device that has too little.
    if (kv.pagesOf(numTokens) > table.pages.length || hisparse === undefined)
      return this.pagesComing > 0;
    return this.isReleasing || this.devicePagesComing > 0;
  }

  /** Whether a request's leaving would help one that misses pages for so many tokens. */
  gains({ table }: RunningState, numTokens: number, victim: Request): boolean {
    const { running } = victim;
    if (running === undefined) return false;
    if (this.kv.pagesOf(numTokens) > table.pages.length)
      return this.kv.exclusivePages(running.table) > 0;
    return running.device !== undefined;
  }

  /** Device pages that become free when those in staging have only their hot buffers left. */
  get devicePagesComing(): number {
    const { hisparse } = this;
    let count = 0;
    for (const { running, numScheduled } of hisparse ? this.running : []) {
      if (running?.kind !== 'staging' || running.device === undefined) continue;
      count += running.device.pages.length - (hisparse?.pagesOfBuffer(numScheduled) ?? 0);
    }
    return count;
  }

  /** prefill, staging, decode → waiting. What it computed stays in the prefix cache while there is room. */
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

  /** Any state → finished. A request that has ended stays as it is. */
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

  /** Whether steps in flight or copies hold pages or rows of requests that have left. */
  get isReleasing(): boolean {
    return this.#leaving.length + this.#copying.length > 0;
  }

  /** Pages of tables that become free when steps in flight and copies have ended. */
  get pagesComing(): number {
    let count = 0;
    for (const { table } of this.#left()) count += this.kv.exclusivePages(table);
    return count;
  }

  /** @throws KvCacheError if pages or rows are lost or counted twice. */
  checkIntegrity(): void {
    const { kv, running } = this;
    kv.pool.checkIntegrity();
    const states = this.#left();
    for (const request of running) if (request.running) states.push(request.running);
    this.hisparse?.checkIntegrity(states.flatMap(({ device }) => device ?? []));
    const tables = states.map(({ table }) => table);
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

  /** What requests that have left still hold. */
  #left(): RunningState[] {
    return [...this.#leaving, ...this.#copying];
  }

  #release(state: RunningState): void {
    const { table, slot, device } = state;
    if (device?.isCopying) {
      this.#copying.push(state);
      return;
    }
    if (device !== undefined) this.hisparse?.close(device);
    this.kv.close(table);
    this.running.giveSlot(slot);
  }

  #forget(request: Request): void {
    const choices = this.find(request.id).filter((other) => other !== request);
    if (choices.length === 0) this.#live.delete(request.id);
    else this.#live.set(request.id, choices);
  }
}
