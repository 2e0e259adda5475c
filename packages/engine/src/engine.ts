import { type EngineError, EngineOptionError, EngineStoppedError } from './errors.ts';
import { HiSparse } from './hisparse/hisparse.ts';
import { type HiSparseStats, hiSparseStats } from './hisparse/stats.ts';
import { type EngineOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { Intake } from './request/intake.ts';
import type { RequestOptions } from './request/options.ts';
import type { Outcome } from './request/state.ts';
import { launch, type StepInFlight } from './runner/launch.ts';
import type { ModelRunner } from './runner/model-runner.ts';
import { type EngineEvent, Lifecycle, type Totals } from './scheduler/lifecycle.ts';
import { Scheduler } from './scheduler/scheduler.ts';

export interface EngineStats extends Readonly<Totals> {
  readonly waiting: number;
  readonly running: number;
  readonly pages: {
    /** Tokens in a page. */
    readonly size: number;
    /** Pages that can be given out, those without a reference, and those that the prefix cache knows. */
    readonly total: number;
    readonly free: number;
    readonly cached: number;
  };
  /** Where it is on; `pages` are then those of the host. */
  readonly hisparse?: HiSparseStats;
}

/**
 * Serves many requests with one model.
 *
 * `step` is all of it: schedule, run, commit. Call it while `hasWork`; submit and end requests at any
 * time. What happens to them comes back from `step` as events.
 */
export class Engine {
  readonly options: ResolvedOptions;
  readonly #runner: ModelRunner;
  readonly #requests: Lifecycle;
  readonly #intake: Intake;
  readonly #scheduler: Scheduler;
  #inFlight: StepInFlight | undefined;
  #isStepping = false;
  #numFailures = 0;
  #stopped: EngineStoppedError | undefined;

  /** @throws EngineOptionError */
  constructor(runner: ModelRunner, options: EngineOptions) {
    this.options = resolveOptions(options);
    this.#runner = runner;
    this.#requests = new Lifecycle(this.options, hiSparseOf(this.options, runner));
    this.#intake = new Intake(this.options, this.#requests);
    this.#scheduler = new Scheduler(this.options, this.#requests);
  }

  /**
   * One step. With overlap, this prepares step n + 1 and hands it in while the device computes step n,
   * and then waits for step n. Without, it waits for the step that it has just prepared.
   *
   * @throws EngineStoppedError if another call of `step` has not returned.
   */
  async step(): Promise<EngineEvent[]> {
    if (this.#isStepping) throw stopped('one call of step at a time', 'a second one');
    this.#isStepping = true;
    try {
      const step = this.#scheduler.schedule(this.#now());
      const launched = step && launch(this.#runner, step);
      const before = this.#inFlight;
      this.#inFlight = launched;
      if (before !== undefined) await this.#commit(before);
      else if (step === undefined) await this.#requests.hisparse?.nextCopy();
      if (step !== undefined) this.#scheduler.fillMasks(step, () => this.#now());
      if (!this.options.overlap && launched !== undefined) {
        await this.#commit(launched);
        this.#inFlight = undefined;
      }
      return this.#requests.takeEvents();
    } finally {
      this.#isStepping = false;
    }
  }

  async #commit({ step, result }: StepInFlight): Promise<void> {
    const answer = await result;
    if (answer.ok) {
      this.#numFailures = 0;
      this.#scheduler.commit(step, answer.output, this.#now());
    } else {
      this.#numFailures++;
      this.#scheduler.fail(step, answer.error, this.#now());
      if (answer.error.fatal || this.#numFailures >= this.options.maxFailures)
        this.#stop({ reason: 'error', error: answer.error });
    }
  }

  /** Why it takes no more requests: it was closed, or a failure stopped it; undefined while it runs. */
  get stopped(): EngineStoppedError | undefined {
    return this.#stopped;
  }

  /** Whether a call of `step` would do anything: requests, a step in flight, events to take. */
  get hasWork(): boolean {
    const { hasEvents, isReleasing, numLive } = this.#requests;
    return numLive > 0 || hasEvents || isReleasing || this.#inFlight !== undefined;
  }

  /**
   * Puts a request into the queue.
   *
   * @throws InvalidRequestError if it is malformed or its id is in use; RequestTooLongError if it could
   * never run; QueueFullError if too many wait; EngineStoppedError after `close` or a fatal failure.
   */
  submit(request: RequestOptions): void {
    if (this.#stopped !== undefined) throw this.#stopped;
    this.#intake.take(request, this.#now());
  }

  /** Ends a request with all its choices: its caller is gone. An id that is not in use is ignored. */
  cancel(id: string): void {
    for (const request of this.#requests.find(id))
      this.#requests.finish(request, { reason: 'cancelled' }, this.#now());
  }

  /** Ends one choice with `stop`: its caller has found a stop string in the text, for instance. */
  finish(id: string, index = 0): void {
    const request = this.#requests.find(id).find((choice) => choice.index === index);
    if (request !== undefined) this.#requests.finish(request, { reason: 'stop' }, this.#now());
  }

  /** Takes no more requests and cancels those that there are. Then call `step` while `hasWork`. */
  close(): void {
    this.#stop({ reason: 'cancelled' });
  }

  get stats(): EngineStats {
    const { kv, running, totals, waiting } = this.#requests;
    const { numCached: cached, numFree: free, numPages: total } = kv.pool;
    const finished = { ...totals.finished };
    const stats = {
      ...totals,
      finished,
      waiting: waiting.size,
      running: running.size,
      pages: { size: kv.pageSize, total, free, cached },
    };
    const hisparse = hiSparseStats(this.#requests);
    return hisparse === undefined ? stats : { ...stats, hisparse };
  }

  /** @throws KvCacheError if the books are wrong: for tests and health checks, it looks at every page. */
  checkIntegrity(): void {
    this.#requests.checkIntegrity();
  }

  #stop(outcome: Outcome): void {
    const cause: EngineError | undefined = outcome.reason === 'error' ? outcome.error : undefined;
    this.#stopped ??= stopped(
      'a running one',
      cause ? 'one that a failure stopped' : 'a closed one',
      cause,
    );
    for (const id of this.#requests.ids()) {
      for (const request of this.#requests.find(id))
        this.#requests.finish(request, outcome, this.#now());
    }
  }

  #now(): number {
    return this.options.clock();
  }
}

function hiSparseOf(options: ResolvedOptions, { transfers }: ModelRunner): HiSparse | undefined {
  const { hisparse, pageSize, totalPages } = options;
  if (hisparse === undefined) return undefined;
  if (transfers !== undefined)
    return new HiSparse({ totalPages, pageSize, bufferSize: hisparse.deviceBufferSize }, transfers);
  throw new EngineOptionError({
    subject: 'the model runner of an engine with HiSparse',
    expected: 'transfers between the host and the device',
    actual: 'none',
    remedy: 'Use a runner that supports HiSparse, or switch it off.',
  });
}

function stopped(expected: string, actual: string, cause?: EngineError): EngineStoppedError {
  const remedy =
    cause === undefined ? 'Make a new engine.' : 'See the cause, and make a new engine.';
  return new EngineStoppedError({ subject: 'the engine', expected, actual, remedy }, { cause });
}
