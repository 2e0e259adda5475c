import {
  Engine,
  EngineLoop,
  type EngineOptions,
  type EngineStats,
  type ModelRunner,
} from '@flash-mla/engine';
import { badRequest } from '../errors.ts';
import type { Grammars } from '../grammar/grammars.ts';
import type { Backend, BackendListener, BackendRequest } from './backend.ts';

/** An engine in this thread: simple, and right where a step leaves the thread free. */
export class LocalBackend implements Backend {
  readonly stopped: Promise<Error>;
  readonly #loop: EngineLoop;
  #failure: Error | undefined;
  readonly #grammars: Grammars | undefined;

  constructor(runner: ModelRunner, options: EngineOptions, grammars?: Grammars) {
    let stop: (error: Error) => void = () => {};
    this.stopped = new Promise((resolve) => {
      stop = (error) => {
        this.#failure = error;
        resolve(error);
      };
    });
    this.#grammars = grammars;
    this.#loop = new EngineLoop(new Engine(runner, options), { onFailure: stop });
  }

  async submit(request: BackendRequest, listener: BackendListener): Promise<void> {
    const { grammar, grammarAfter, ...options } = request;
    if (grammar !== undefined && this.#grammars === undefined)
      throw badRequest('This server holds no answers to a grammar.', 'response_format');
    const constraint = grammar && (await this.#grammars?.prepare(grammar, grammarAfter));
    this.#loop.submit({ ...options, ...(constraint && { constraint }) }, listener);
  }

  cancel(id: string): void {
    this.#loop.cancel(id);
  }

  finish(id: string, index: number): void {
    this.#loop.finish(id, index);
  }

  stats(): EngineStats {
    return this.#loop.stats;
  }

  async ping(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
  }

  silentMs(): number {
    // Where this is asked, the thread that the engine shares is free.
    return 0;
  }

  close(): Promise<void> {
    return this.#loop.close();
  }
}
