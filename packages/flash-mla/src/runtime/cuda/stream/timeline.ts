import type { CudaContext, Handle } from '../driver/driver.ts';

/** How long waiting polls at every turn of the event loop before it polls every millisecond. */
const eagerMs = 3;

/** Events in use before a new mark looks which of them are free again. */
const mostPending = 64;

/** At the next turn of the event loop; a browser, where the simulator runs, has no setImmediate. */
const soon: (call: () => void) => void = globalThis.setImmediate ?? ((call) => setTimeout(call, 0));

interface Waiter {
  readonly mark: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * How far a stream has got. {@link mark} notes a point after the work enqueued so far; work runs in
 * order, so a mark that is reached means that all before it are. Nothing here blocks the event loop
 * but {@link waitNow}.
 */
export class Timeline {
  readonly #context: CudaContext;
  readonly #stream: Handle;
  readonly #free: Handle[] = [];
  readonly #pending: { readonly mark: number; readonly event: Handle }[] = [];
  #waiters: Waiter[] = [];
  #marked = 0;
  #reached = 0;
  #polling = false;
  #pollingSince = 0;
  #stopped: unknown;

  constructor(context: CudaContext, stream: Handle) {
    this.#context = context;
    this.#stream = stream;
  }

  /** Notes a point: grows with each call. */
  mark(): number {
    // A stream that only others wait for is asked by nobody how far it is.
    if (this.#pending.length >= mostPending) this.#poll();
    const event = this.#free.pop() ?? this.#context.createEvent(false);
    this.#context.recordEvent(event, this.#stream);
    this.#pending.push({ mark: ++this.#marked, event });
    return this.#marked;
  }

  /** Whether the work before a mark is done. Throws what went wrong in it. */
  isReached(mark: number): boolean {
    if (mark > this.#reached) this.#poll();
    return mark <= this.#reached;
  }

  /** Resolves once the work before a mark is done; rejects with what went wrong in it. */
  wait(mark: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stopped !== undefined) {
        reject(this.#stopped);
        return;
      }
      this.#waiters.push({ mark, resolve, reject });
      this.#pollingSince = performance.now();
      if (this.#polling) return;
      this.#polling = true;
      soon(() => this.#turn());
    });
  }

  /** Blocks until the work before a mark is done. */
  waitNow(mark: number): void {
    const entry = this.#pending.find((pending) => pending.mark === mark);
    if (entry === undefined) return;
    this.#context.synchronizeEvent(entry.event);
    this.#poll();
  }

  /** Lets what is enqueued later on another stream wait for the work before a mark. */
  holdBack(stream: Handle, mark: number): void {
    const entry = this.#pending.findLast((pending) => pending.mark === mark);
    // An event that is done orders nothing more, and may be in use for another mark.
    if (entry !== undefined) this.#context.waitEvent(stream, entry.event);
  }

  /** As {@link wait}, for who stops: goes on after {@link stop}. */
  async drain(): Promise<void> {
    const mark = this.mark();
    while (!this.isReached(mark)) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** Everything that waits, now or later, fails with this. */
  stop(error: unknown): void {
    this.#stopped ??= error;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }

  /** Gives the events back; all work must be done. */
  destroy(): void {
    for (const { event } of this.#pending) this.#context.destroyEvent(event);
    for (const event of this.#free) this.#context.destroyEvent(event);
    this.#pending.length = 0;
    this.#free.length = 0;
  }

  #poll(): void {
    let done = 0;
    for (const { mark, event } of this.#pending) {
      if (!this.#context.queryEvent(event)) break;
      this.#reached = mark;
      this.#free.push(event);
      done++;
    }
    if (done > 0) this.#pending.splice(0, done);
  }

  #turn(): void {
    if (this.#waiters.length === 0) {
      this.#polling = false;
      return;
    }
    try {
      this.#poll();
    } catch (error) {
      this.#polling = false;
      this.stop(error);
      return;
    }
    // Others may have polled since the last turn: what counts is who waits.
    const waiting = this.#waiters.length;
    this.#settle();
    if (this.#waiters.length === 0) {
      this.#polling = false;
      return;
    }
    const now = performance.now();
    if (this.#waiters.length < waiting) this.#pollingSince = now;
    if (now - this.#pollingSince < eagerMs) soon(() => this.#turn());
    else setTimeout(() => this.#turn(), 1);
  }

  #settle(): void {
    const reached = this.#reached;
    const ready = this.#waiters.filter(({ mark }) => mark <= reached);
    this.#waiters = this.#waiters.filter(({ mark }) => mark > reached);
    for (const { resolve } of ready) resolve();
  }
}
