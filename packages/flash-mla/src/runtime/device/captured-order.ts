/** For each stream, how much of its work in a capture comes before a point. */
export type CapturedClock = ReadonlyMap<object, number>;

/**
 * Which streams take part in a capture, and what each of them has waited for. A stream takes part from
 * its first wait for an event of the capture, and must be waited for by the first stream in the end.
 */
export class CapturedOrder {
  readonly #origin: object;
  readonly #clocks = new Map<object, Map<object, number>>();

  /** `origin`: the stream whose work is captured. */
  constructor(origin: object) {
    this.#origin = origin;
    this.#clocks.set(origin, new Map());
  }

  has(stream: object): boolean {
    return this.#clocks.has(stream);
  }

  /** A stream that takes part enqueues something. */
  advance(stream: object): void {
    const clock = this.#clocks.get(stream);
    clock?.set(stream, (clock.get(stream) ?? 0) + 1);
  }

  /** What comes before a point of a stream that takes part. */
  clockOf(stream: object): CapturedClock {
    return new Map(this.#clocks.get(stream));
  }

  /** A stream waits for a point. */
  wait(stream: object, point: CapturedClock): void {
    let clock = this.#clocks.get(stream);
    if (clock === undefined) {
      clock = new Map();
      this.#clocks.set(stream, clock);
    }
    for (const [other, count] of point) clock.set(other, Math.max(count, clock.get(other) ?? 0));
  }

  /** A stream whose work the origin has not waited for; undefined where there is none. */
  get unjoined(): object | undefined {
    const known = this.#clocks.get(this.#origin);
    for (const [stream, clock] of this.#clocks) {
      if (stream === this.#origin) continue;
      if ((known?.get(stream) ?? 0) < (clock.get(stream) ?? 0)) return stream;
    }
    return undefined;
  }
}
