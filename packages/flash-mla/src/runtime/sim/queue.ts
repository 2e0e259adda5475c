/** One piece of a stream's work: done at once, or in steps between which others may run. */
export type Work = () => Generator<void, unknown> | undefined;

/**
 * A simulated device's work, run in the order of enqueueing and only when somebody asks how far it
 * is. The first thing that goes wrong ends it: from then on asking throws that.
 */
export class WorkQueue {
  readonly #waiting: Work[] = [];
  #current: Generator<void, unknown> | undefined;
  #fault: { readonly error: unknown } | undefined;

  push(work: Work): void {
    this.#rethrow();
    this.#waiting.push(work);
  }

  /** Runs for about so many milliseconds, or until all is done. */
  run(milliseconds: number): void {
    this.#rethrow();
    const end = performance.now() + milliseconds;
    try {
      while (this.#step() && performance.now() < end);
    } catch (error) {
      this.#fault = { error };
      throw error;
    }
  }

  /** Forgets everything, faults too. */
  clear(): void {
    this.#waiting.length = 0;
    this.#current = undefined;
    this.#fault = undefined;
  }

  /** Whether there was anything to do. */
  #step(): boolean {
    if (this.#current) {
      if (this.#current.next().done) this.#current = undefined;
      return true;
    }
    const next = this.#waiting.shift();
    this.#current = next?.();
    return next !== undefined;
  }

  #rethrow(): void {
    if (this.#fault) throw this.#fault.error;
  }
}
