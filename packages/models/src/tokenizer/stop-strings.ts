/** What became of a piece of text. */
export interface StopResult {
  /** Text that can be given out: it cannot become part of a stop string any more. */
  readonly text: string;
  /** The stop string that was met; the text ends before it. */
  readonly stop: string | undefined;
}

/** Looks for stop strings in text that comes in pieces, and holds back what may be the begin of one. */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';

  /** Empty strings, which would stop everything, are left out. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** Adds a piece. After a stop string nothing more may be added. */
  push(piece: string): StopResult {
    const text = this.#held + piece;
    let first = -1;
    let found: string | undefined;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at !== -1 && (first === -1 || at < first)) {
        first = at;
        found = stop;
      }
    }
    if (found !== undefined) {
      this.#held = '';
      return { text: text.slice(0, first), stop: found };
    }
    const keep = this.#longestBegin(text);
    this.#held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep), stop: undefined };
  }

  /** What was held back, once no more text comes. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** Length of the longest end of the text that some stop string begins with. */
  #longestBegin(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) {
          longest = length;
          break;
        }
      }
    }
    return longest;
  }
}
