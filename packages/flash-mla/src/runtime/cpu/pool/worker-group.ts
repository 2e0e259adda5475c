import { DeviceLostError, DisposedError } from '@flash-mla/core';
import type { WorkerHandle } from '#platform';
import type { WorkerReply, WorkerStart } from './protocol.ts';

/** The threads of one device: started together, lost together. */
export class WorkerGroup {
  readonly #workers: readonly WorkerHandle[];
  #holding = false;
  #lost: DeviceLostError | DisposedError | undefined;
  /** Called once, with the reason, when a thread dies or {@link stop} is called. */
  onLost: (error: DeviceLostError | DisposedError) => void = () => {};
  onReply: (reply: WorkerReply) => void = () => {};

  private constructor(workers: readonly WorkerHandle[]) {
    this.#workers = workers;
  }

  /**
   * Starts `count` threads and then tells each what it needs; resolves when all are ready, rejects if
   * one is not.
   */
  static async start(
    count: number,
    startWorker: () => WorkerHandle,
    startOf: (index: number) => Promise<WorkerStart>,
  ): Promise<WorkerGroup> {
    const group = new WorkerGroup(Array.from({ length: count }, startWorker));
    try {
      await Promise.all(group.#workers.map((worker, i) => group.#prepare(worker, startOf(i))));
    } catch (error) {
      await group.stop();
      throw error;
    }
    for (const worker of group.#workers) worker.hold(false);
    return group;
  }

  async #prepare(worker: WorkerHandle, start: Promise<WorkerStart>): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      worker.listen(
        (message) => {
          const reply = message as WorkerReply;
          if (reply.kind === 'ready') resolve();
          else if (reply.kind !== 'crash') {
            // Sent before it was stopped: whoever waited for it has been told.
            if (!this.#lost) this.onReply(reply);
          } else {
            reject(new Error(reply.message));
            this.#lose(new DeviceLostError('cpu', `a worker thread failed: ${reply.message}`));
          }
        },
        (error) => {
          reject(error);
          this.#lose(new DeviceLostError('cpu', `a worker thread died: ${error.message}`, error));
        },
      );
    });
    // Whichever fails first is what went wrong.
    await Promise.all([ready, start.then((message) => worker.post(message))]);
  }

  /** Why nothing runs any more. */
  get lost(): DeviceLostError | DisposedError | undefined {
    return this.#lost;
  }

  /** Sends to the first thread. */
  post(message: unknown, transfer?: ArrayBuffer[]): void {
    this.#workers[0]?.post(message, transfer);
  }

  /** Whether the threads keep the process alive: while there is work, and only then. */
  hold(pending: boolean): void {
    // A thread that is being terminated keeps the process alive by itself until it is gone; letting go
    // of it would end a process that waits for nothing but that.
    if (this.#lost || pending === this.#holding) return;
    this.#holding = pending;
    // One is enough: its messages are what the event loop waits for.
    for (const worker of this.#workers) worker.hold(pending);
  }

  async stop(): Promise<void> {
    this.#lose(DisposedError.whilePending('cpu'));
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #lose(error: DeviceLostError | DisposedError): void {
    if (this.#lost) return;
    this.#lost = error;
    this.onLost(error);
    for (const worker of this.#workers) void worker.terminate();
  }
}
