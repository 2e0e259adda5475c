import type { FromEngine, PlainError, TaskName, Tasks } from './protocol.ts';

/** What went wrong in the engine; `name` is that of the library's error class. */
export class EngineError extends Error {
  constructor({ name, message }: PlainError) {
    super(message);
    this.name = name;
  }

  /** Another task or the user ended this one. */
  static isAbort(error: unknown): boolean {
    return error instanceof Error && error.name === 'AbortError';
  }
}

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: EngineError) => void;
  readonly onEvent: ((event: never) => void) | undefined;
}

interface CallOptions<Event> {
  readonly onEvent?: (event: Event) => void;
  readonly signal?: AbortSignal;
}

/** The page's side of the engine. */
export class Engine {
  readonly #worker = new Worker(new URL('./worker.ts', import.meta.url), {
    type: 'module',
    name: 'engine',
  });
  readonly #pending = new Map<number, Pending>();
  #last = 0;
  /** Called when the open device is gone; the task that noticed is rejected as well. */
  onDeviceLost: (error: EngineError) => void = () => {};

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<FromEngine>) => this.#receive(data);
    this.#worker.onerror = (event) => {
      const message = event.message || 'its script does not load';
      for (const { reject } of this.#pending.values()) {
        reject(new EngineError({ name: 'EngineError', message: `The engine failed: ${message}` }));
      }
      this.#pending.clear();
    };
  }

  /** Rejects with an {@link EngineError}. */
  call<Name extends TaskName>(
    task: Name,
    args: Tasks[Name]['args'],
    { onEvent, signal }: CallOptions<Tasks[Name]['event']> = {},
  ): Promise<Tasks[Name]['result']> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onEvent });
      this.#worker.postMessage({ id, task, args });
      signal?.addEventListener('abort', () => this.#worker.postMessage({ abort: id }));
    });
  }

  #receive(message: FromEngine): void {
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    if ('event' in message) {
      pending.onEvent?.(message.event as never);
      return;
    }
    this.#pending.delete(message.id);
    if ('result' in message) {
      pending.resolve(message.result as never);
      return;
    }
    const error = new EngineError(message.error);
    if (error.name === 'DeviceLostError') this.onDeviceLost(error);
    pending.reject(error);
  }
}
