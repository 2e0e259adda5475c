import type { PageKeys } from '../kv-cache/page-key.ts';
import type { SamplingParams } from '../runner/sampling-params.ts';
import type { TokenConstraint } from '../runner/token-mask.ts';
import type { RequestOptions } from './options.ts';
import type { RequestState, RequestStats, RunningState } from './state.ts';

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** One sequence: a choice of a caller's request, as the scheduler keeps it. */
export class Request {
  readonly id: string;
  readonly index: number;
  /** Arrival, counted over all requests. */
  readonly order: number;
  readonly priority: number;
  readonly tenant: string;
  readonly sampling: SamplingParams;
  /** Restricts what may be sampled. */
  readonly constraint: TokenConstraint | undefined;
  readonly stopTokens: ReadonlySet<number>;
  readonly minTokens: number;
  /** The longest that the sequence may become, prompt included. */
  readonly maxLength: number;
  /** On the engine's clock. */
  readonly deadline: number;
  readonly promptLength: number;
  /** The prompt, then what was generated. */
  readonly tokens: number[];
  readonly pageKeys: PageKeys;
  readonly stats: Mutable<RequestStats>;

  state: RequestState = { kind: 'waiting', after: 'arrival' };
  /** Changes when the request leaves the batch: what a step in flight still brings is dropped. */
  epoch = 0;
  /** Leading tokens whose K/V is in pages or in a step in flight. */
  numScheduled = 0;
  /** Leading tokens whose K/V is in pages of the table for certain: with HiSparse, on the host. */
  numComputed = 0;
  /** Tokens that steps in flight will bring. */
  numPending = 0;

  constructor(
    options: RequestOptions,
    at: {
      readonly index: number;
      readonly order: number;
      readonly now: number;
      readonly maxLength: number;
      /** Of the prompt. */
      readonly pageKeys: PageKeys;
    },
  ) {
    const { sampling = { temperature: 0 }, prompt, maxTokens = Number.POSITIVE_INFINITY } = options;
    this.id = options.id;
    this.index = at.index;
    this.order = at.order;
    this.priority = options.priority ?? 0;
    this.tenant = options.tenant ?? '';
    const { seed } = sampling;
    this.sampling = seed === undefined ? sampling : { ...sampling, seed: seed + at.index };
    this.constraint = options.constraint?.(at.index);
    this.stopTokens = new Set(options.stopTokens);
    this.minTokens = options.minTokens ?? 0;
    this.maxLength = Math.min(prompt.length + maxTokens, at.maxLength);
    this.deadline = at.now + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
    this.promptLength = prompt.length;
    this.tokens = Array.from(prompt);
    this.pageKeys = at.pageKeys;
    this.stats = {
      arrivedAt: at.now,
      startedAt: undefined,
      firstTokenAt: undefined,
      lastTokenAt: undefined,
      finishedAt: undefined,
      promptTokens: prompt.length,
      cachedTokens: 0,
      outputTokens: 0,
      preemptions: 0,
      recomputedTokens: 0,
      wastedTokens: 0,
      maxTokenGapMs: 0,
    };
  }

  /** Its pages and its row of the batch; undefined in the queue and after the end. */
  get running(): RunningState | undefined {
    const { state } = this;
    return state.kind === 'waiting' || state.kind === 'finished' ? undefined : state;
  }

  /** Tokens that there are or will be when the steps in flight have answered. */
  get length(): number {
    return this.tokens.length + this.numPending;
  }

  /** Takes a sampled token. */
  append(token: number, now: number): void {
    const { stats } = this;
    this.tokens.push(token);
    stats.outputTokens++;
    if (stats.lastTokenAt === undefined) stats.firstTokenAt = now;
    else stats.maxTokenGapMs = Math.max(stats.maxTokenGapMs, now - stats.lastTokenAt);
    stats.lastTokenAt = now;
  }

  /** Whether the last token ended the generation. */
  endAfter(token: number): 'stop' | 'length' | undefined {
    if (this.stats.outputTokens >= this.minTokens && this.stopTokens.has(token)) return 'stop';
    return this.tokens.length >= this.maxLength ? 'length' : undefined;
  }

  /** Forgets what was computed and what steps in flight would bring. */
  startAnew(): void {
    this.epoch++;
    this.numScheduled = 0;
    this.numComputed = 0;
    this.numPending = 0;
  }
}
