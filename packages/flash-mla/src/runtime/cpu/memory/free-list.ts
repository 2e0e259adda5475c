/** A span of addresses. */
export interface Span {
  readonly address: number;
  readonly byteLength: number;
}

/**
 * Which addresses of a growing memory are free: spans ordered by address, neighbours merged.
 * Best fit, so that large spans stay whole.
 */
export class FreeList {
  readonly #free: { address: number; byteLength: number }[] = [];
  #end: number;

  /** Begins empty at address `end`; {@link grow} adds to it. */
  constructor(end: number) {
    this.#end = end;
  }

  /** Where the memory ends. */
  get end(): number {
    return this.#end;
  }

  /** Bytes that are free, in whatever pieces. */
  get freeBytes(): number {
    return this.#free.reduce((sum, span) => sum + span.byteLength, 0);
  }

  /** Takes a span out, or undefined where none is large enough. */
  take(byteLength: number): Span | undefined {
    let best = -1;
    for (let i = 0; i < this.#free.length; i++) {
      const size = (this.#free[i] as Span).byteLength;
      if (size < byteLength) continue;
      if (best < 0 || size < (this.#free[best] as Span).byteLength) best = i;
    }
    const span = this.#free[best];
    if (!span) return undefined;
    const { address } = span;
    if (span.byteLength === byteLength) this.#free.splice(best, 1);
    else {
      span.address += byteLength;
      span.byteLength -= byteLength;
    }
    return { address, byteLength };
  }

  /** How much memory must be added so that {@link take} finds this many bytes at the end. */
  missing(byteLength: number): number {
    const last = this.#free.at(-1);
    const atEnd = last && last.address + last.byteLength === this.#end ? last.byteLength : 0;
    return Math.max(0, byteLength - atEnd);
  }

  /** The memory has become longer. */
  grow(end: number): void {
    const address = this.#end;
    this.#end = end;
    if (end > address) this.give({ address, byteLength: end - address });
  }

  /** Puts a span back. */
  give(span: Span): void {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#free[middle] as Span).address < span.address) low = middle + 1;
      else high = middle;
    }
    const before = this.#free[low - 1];
    const after = this.#free[low];
    const joinsBefore = before !== undefined && before.address + before.byteLength === span.address;
    const joinsAfter = after !== undefined && span.address + span.byteLength === after.address;
    if (joinsBefore) {
      before.byteLength += span.byteLength + (joinsAfter ? after.byteLength : 0);
      if (joinsAfter) this.#free.splice(low, 1);
    } else if (joinsAfter) {
      after.address = span.address;
      after.byteLength += span.byteLength;
    } else {
      this.#free.splice(low, 0, { ...span });
    }
  }
}
