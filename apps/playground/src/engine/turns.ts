interface Turn {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** One task at a time: a new one aborts the one before it and begins when that has ended. */
export class Turns {
  #last: Turn | undefined;

  /** Resolves when it is this task's turn, with what it must call at its end. */
  async take(abort: AbortController): Promise<() => void> {
    const before = this.#last;
    let end = () => {};
    const done = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#last = { abort, done };
    before?.abort.abort();
    await before?.done;
    return end;
  }
}
