import type { BackendEvent, BackendStream } from './backend.ts';

/** What a device with one queue says about how far it has got. */
export interface Queue {
  /** A point after the work enqueued so far. */
  record(): BackendEvent;
  synchronize(): Promise<void>;
}

/**
 * A stream of a device that has one queue: a name for it. All work runs in the order of the calls, which
 * is one of the orders that streams allow; waiting for an event therefore changes nothing.
 */
export class QueueStream implements BackendStream {
  readonly #queue: Queue;

  constructor(queue: Queue) {
    this.#queue = queue;
  }

  record(): BackendEvent {
    return this.#queue.record();
  }

  wait(): void {}

  synchronize(): Promise<void> {
    return this.#queue.synchronize();
  }

  dispose(): void {}
}

/** A queue whose work is done as soon as it is enqueued: for devices that are not there. */
export const idleQueue: Queue = {
  record: () => ({ isDone: () => true, synchronize: async () => {} }),
  synchronize: async () => {},
};
