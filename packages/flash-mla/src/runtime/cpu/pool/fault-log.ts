/**
 * What went wrong in enqueued work, until somebody has been told: every read or synchronisation that
 * was waiting when the error is first reported gets it, later ones do not.
 */
export class FaultLog {
  #error: Error | undefined;
  #ticket = 0;
  #reportedUntil = 0;

  /** Keeps the first error since the last report. */
  record(error: Error, ticket: number): void {
    if (this.#error && this.#reportedUntil === 0) return;
    this.#error = error;
    this.#ticket = ticket;
    this.#reportedUntil = 0;
  }

  /**
   * The error that whoever waits for `ticket` must get, if any.
   *
   * @param issued the last ticket given out so far.
   */
  take(ticket: number, issued: number): Error | undefined {
    if (!this.#error || ticket < this.#ticket) return undefined;
    if (this.#reportedUntil === 0) this.#reportedUntil = issued;
    if (ticket <= this.#reportedUntil) return this.#error;
    this.#error = undefined;
    this.#reportedUntil = 0;
    return undefined;
  }
}
