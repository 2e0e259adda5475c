import type { Engine, EngineEvent, RequestOptions } from '@flash-mla/engine';

/** Steps an engine while it has work, and hands its events to those who asked. */
export class EngineLoop {
  readonly #engine: Engine;
  readonly #listeners = new Map<string, (event: EngineEvent) => void>();
  #running: Promise<void> | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Throws what {@link Engine.submit} throws. The listener is called until the request has finished. */
  submit(request: RequestOptions, listener: (event: EngineEvent) => void): void {
    this.#engine.submit(request);
    this.#listeners.set(request.id, listener);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** The caller is gone. */
  cancel(id: string): void {
    this.#engine.cancel(id);
  }

  /** The caller has found a stop string. */
  finish(id: string): void {
    this.#engine.finish(id);
  }

  /** Ends all requests; resolves when no step runs any more. */
  async close(): Promise<void> {
    this.#engine.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#engine.hasWork) {
      for (const event of await this.#engine.step()) {
        const listener = this.#listeners.get(event.id);
        if (event.kind === 'finished') this.#listeners.delete(event.id);
        listener?.(event);
      }
    }
  }
}
