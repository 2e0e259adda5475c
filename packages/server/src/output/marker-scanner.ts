/** A marker in a text, and the text before it. */
export interface Found {
  readonly before: string;
  /** Undefined where the text at hand has no marker. */
  readonly marker: string | undefined;
}

/**
 * Finds markers in text that comes in pieces. What may be the begin of one is held back, so that a marker
 * is found however it is cut. Which markers are looked for may change from one to the next.
 */
export class MarkerScanner {
  #text = '';

  push(text: string): void {
    this.#text += text;
  }

  /** The text up to the first marker, which is taken out; else all that cannot belong to one. */
  next(markers: readonly string[]): Found {
    let at = -1;
    let marker: string | undefined;
    for (const candidate of markers) {
      const place = this.#text.indexOf(candidate);
      const isBetter =
        at < 0 || place < at || (place === at && candidate.length > (marker?.length ?? 0));
      if (place >= 0 && isBetter) [at, marker] = [place, candidate];
    }
    if (marker !== undefined && !this.#mayBecomeLonger(at, marker, markers))
      return { before: this.#take(at, marker.length), marker };
    const end = Math.min(
      at < 0 ? this.#text.length : at,
      this.#text.length - this.#heldBack(markers),
    );
    return { before: this.#take(end, 0), marker: undefined };
  }

  /** All that is left. */
  rest(): string {
    return this.#take(this.#text.length, 0);
  }

  /** Gives text back that another look should start with. */
  unread(text: string): void {
    this.#text = text + this.#text;
  }

  #take(length: number, skip: number): string {
    const taken = this.#text.slice(0, length);
    this.#text = this.#text.slice(length + skip);
    return taken;
  }

  /** Whether a longer marker may still begin where this one was found. */
  #mayBecomeLonger(at: number, marker: string, markers: readonly string[]): boolean {
    const tail = this.#text.slice(at);
    return markers.some(
      (other) => other.length > tail.length && other !== marker && other.startsWith(tail),
    );
  }

  #heldBack(markers: readonly string[]): number {
    let longest = 0;
    for (const marker of markers) {
      for (
        let length = Math.min(marker.length - 1, this.#text.length);
        length > longest;
        length--
      ) {
        if (this.#text.endsWith(marker.slice(0, length))) {
          longest = length;
          break;
        }
      }
    }
    return longest;
  }
}
