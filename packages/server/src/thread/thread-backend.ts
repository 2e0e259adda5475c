import type { Worker } from 'node:worker_threads';
import { type EngineEvent, type EngineStats, EngineStoppedError } from '@flash-mla/engine';
import type { Backend, BackendListener, BackendRequest } from '../generate/backend.ts';
import type { EngineThreadData, FromEngine, SentEvent, ToEngine } from './messages.ts';
import { asEngineError, receiveError } from './sent-error.ts';
import { startWorker } from './start-worker.ts';

/** What a step in work may take when the engine is closed. */
const maxCloseMs = 5000;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface Live {
  readonly listener: BackendListener;
  /** Choices that have not ended. */
  readonly open: Set<number>;
}

/** An engine in a thread of its own: however long a step takes, sockets are served meanwhile. */
export class ThreadBackend implements Backend {
  readonly stopped: Promise<Error>;
  readonly #worker: Worker;
  readonly #calls = new Map<number, Waiting>();
  readonly #live = new Map<string, Live>();
  #numCalls = 0;
  /** When the first question was asked that nothing has come after; by `performance.now`. */
  #askedAt: number | undefined;
  #stats: EngineStats;
  #failure: Error | undefined;
  #isClosing = false;
  #stop: (error: Error) => void = () => {};

  private constructor(worker: Worker, stats: EngineStats) {
    this.#worker = worker;
    this.#stats = stats;
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
    worker.on('message', (message: FromEngine) => this.#take(message));
    worker.on('error', (error) => this.#lose(error));
    worker.on('exit', (code) =>
      this.#lose(new Error(`the engine's thread ended with code ${code}`)),
    );
  }

  /** Starts the thread and waits until the model is loaded. @throws what loading it throws */
  static async start(data: EngineThreadData): Promise<ThreadBackend> {
    const worker = startWorker('thread/engine-worker', { workerData: data });
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', (code) =>
        reject(new Error(`the engine's thread ended with code ${code}`)),
      );
      worker.once('message', (message: FromEngine) => {
        worker.removeAllListeners('error').removeAllListeners('exit');
        if (message.kind === 'ready') return resolve(new ThreadBackend(worker, message.stats));
        void worker.terminate();
        const failed = message.kind === 'failed';
        reject(failed ? receiveError(message.error) : new Error('the engine did not become ready'));
      });
    });
  }

  async submit(request: BackendRequest, listener: BackendListener): Promise<void> {
    const { id, n = 1 } = request;
    this.#live.set(id, { listener, open: new Set(Array.from({ length: n }, (_, i) => i)) });
    try {
      await this.#call((call) => ({
        kind: 'submit',
        call,
        request: { ...request, prompt: Int32Array.from(request.prompt) },
      }));
    } catch (error) {
      this.#live.delete(id);
      throw error;
    }
  }

  cancel(id: string): void {
    this.#send({ kind: 'cancel', id });
  }

  finish(id: string, index: number): void {
    this.#send({ kind: 'finish', id, index });
  }

  stats(): EngineStats {
    return this.#stats;
  }

  ping(): Promise<void> {
    return this.#call((call) => ({ kind: 'ping', call }));
  }

  async close(): Promise<void> {
    if (this.#failure === undefined && !this.#isClosing) {
      this.#isClosing = true;
      const closed = this.#call((call) => ({ kind: 'close', call })).catch(() => {});
      let timer: NodeJS.Timeout | undefined;
      // A step may be long, but one that hangs must not keep the process.
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, maxCloseMs);
      });
      await Promise.race([closed, timeout]);
      clearTimeout(timer);
      this.#endAll(new Error(`the engine's thread did not end within ${maxCloseMs} ms`));
      this.#failure ??= stoppedError('a closed one');
    }
    await this.#worker.terminate();
  }

  silentMs(): number {
    return this.#askedAt === undefined ? 0 : performance.now() - this.#askedAt;
  }

  #call(message: (call: number) => ToEngine): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const call = this.#numCalls++;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#askedAt ??= performance.now();
      this.#send(message(call));
    });
  }

  #send(message: ToEngine): void {
    this.#worker.postMessage(message);
  }

  #take(message: FromEngine): void {
    this.#askedAt = undefined;
    if (message.kind === 'events') this.#events(message.id, message.events);
    else if (message.kind === 'stats') this.#stats = message.stats;
    else if (message.kind === 'stopped') this.#fail(receiveError(message.error));
    else if (message.kind === 'reply') {
      const waiting = this.#calls.get(message.call);
      this.#calls.delete(message.call);
      if (message.error === undefined) waiting?.resolve();
      else waiting?.reject(receiveError(message.error));
    }
  }

  #events(id: string, sent: readonly SentEvent[]): void {
    const live = this.#live.get(id);
    if (live === undefined) return;
    const events = sent.map(received);
    for (const { index, kind } of events) if (kind === 'finished') live.open.delete(index);
    if (live.open.size === 0) this.#live.delete(id);
    live.listener(events);
  }

  #fail(error: Error): void {
    this.#failure ??= stoppedError(error.message, error);
    this.#stop(error);
  }

  /** The thread has died: everything that it had not finished ends with an error. */
  #lose(error: Error): void {
    if (this.#isClosing && this.#live.size === 0) return;
    this.#fail(error);
    this.#endAll(error);
  }

  /** Ends what is open; nothing where all has ended. */
  #endAll(error: Error): void {
    const failure = asEngineError(this.#failure ?? error);
    for (const { reject } of this.#calls.values()) reject(failure);
    this.#calls.clear();
    const now = performance.now();
    const lost = [...this.#live];
    this.#live.clear();
    for (const [id, { listener, open }] of lost)
      listener(
        [...open].map((index) => ({
          kind: 'finished',
          id,
          index,
          outcome: { reason: 'error', error: failure },
          stats: { ...emptyStats, arrivedAt: now, finishedAt: now },
        })),
      );
  }
}

function stoppedError(actual: string, cause?: Error): EngineStoppedError {
  const remedy = 'Start the server again.';
  return new EngineStoppedError(
    { subject: 'the engine', expected: 'a running one', actual, remedy },
    { cause },
  );
}

const emptyStats = {
  startedAt: undefined,
  firstTokenAt: undefined,
  lastTokenAt: undefined,
  promptTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  preemptions: 0,
  recomputedTokens: 0,
  wastedTokens: 0,
  maxTokenGapMs: 0,
} as const;

function received(event: SentEvent): EngineEvent {
  if (event.kind === 'token') return event;
  const { error, reason, ...rest } = event;
  if (reason !== 'error') return { ...rest, outcome: { reason } };
  const failure = error === undefined ? new Error('unknown') : receiveError(error);
  return { ...rest, outcome: { reason, error: asEngineError(failure) } };
}
