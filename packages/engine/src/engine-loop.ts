import type { Engine, EngineStats } from './engine.ts';
import type { RequestOptions } from './request/options.ts';
import type { EngineEvent } from './scheduler/lifecycle.ts';

export interface EngineLoopHooks {
  /** An error that stops the engine for good. Default: what is no outcome of a request is thrown. */
  readonly onFailure?: (error: Error) => void;
  readonly onStep?: () => void;
}

/** The next turn of the event loop. A browser has no setImmediate, and its timers wait for 4 ms. */
const nextTurn = () =>
  new Promise<void>((resolve) => {
    if (globalThis.setImmediate !== undefined) {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });

/** Steps an engine while it has work, and hands each request's events to who submitted it. */
export class EngineLoop {
  readonly #engine: Engine;
  readonly #listeners = new Map<string, { listener: Listener; numOpen: number }>();
  readonly #hooks: EngineLoopHooks;
  #loop: Promise<void> | undefined;
  #hasFailed = false;

  constructor(engine: Engine, hooks: EngineLoopHooks = {}) {
    this.#engine = engine;
    this.#hooks = hooks;
  }

  /** @throws what `Engine.submit` throws; nothing has begun then. */
  submit(request: RequestOptions, listener: Listener): void {
    this.#engine.submit(request);
    this.#listeners.set(request.id, { listener, numOpen: request.n ?? 1 });
    this.#start();
  }

  cancel(id: string): void {
    this.#engine.cancel(id);
    this.#start();
  }

  /** Ends a choice of a request, whose text has come to a stop string. */
  finish(id: string, index = 0): void {
    this.#engine.finish(id, index);
    this.#start();
  }

  get stats(): EngineStats {
    return this.#engine.stats;
  }

  /** Ends what there is, and resolves when all pages are back. */
  async close(): Promise<void> {
    this.#engine.close();
    this.#start();
    await this.#loop;
  }

  #start(): void {
    this.#loop ??= this.#run()
      .catch((error: Error) => {
        if (this.#hooks.onFailure === undefined) throw error;
        this.#hooks.onFailure(error);
      })
      .finally(() => {
        this.#loop = undefined;
      });
  }

  async #run(): Promise<void> {
    // Sockets and timers get their turn, and requests that come at once share a step.
    await nextTurn();
    while (this.#engine.hasWork) {
      this.#dispatch(await this.#engine.step());
      const { stopped } = this.#engine;
      if (stopped?.cause !== undefined && !this.#hasFailed) {
        this.#hasFailed = true;
        this.#hooks.onFailure?.(stopped);
      }
      this.#hooks.onStep?.();
      await nextTurn();
    }
  }

  #dispatch(events: readonly EngineEvent[]): void {
    const byRequest = new Map<string, EngineEvent[]>();
    for (const event of events) {
      const list = byRequest.get(event.id);
      if (list === undefined) byRequest.set(event.id, [event]);
      else list.push(event);
    }
    for (const [id, list] of byRequest) {
      const entry = this.#listeners.get(id);
      if (entry === undefined) continue;
      entry.numOpen -= list.filter(({ kind }) => kind === 'finished').length;
      if (entry.numOpen === 0) this.#listeners.delete(id);
      entry.listener(list);
    }
  }
}

type Listener = (events: readonly EngineEvent[]) => void;
