import type { Timeline } from './timeline.ts';

/** A point in the work of several streams. */
export type Point = readonly { readonly timeline: Timeline; readonly mark: number }[];

interface Retiring {
  readonly timeline: Timeline;
  readonly mark: number;
  isIdle(): boolean;
  onDone(): void;
}

/**
 * The streams of one backend, as far as memory is concerned. While there is one, all work runs in the
 * order of the calls; with more of them, only a {@link Point} that is reached says that work is done.
 */
export class StreamOrder {
  readonly #timelines: Timeline[] = [];
  #retiring: Retiring[] = [];

  /** Whether all work runs in the order of the calls. */
  isSingle = true;

  add(timeline: Timeline): void {
    this.#timelines.push(timeline);
    this.isSingle = this.#timelines.length <= 1;
  }

  /**
   * A stream gets no more work. It counts until what it has is done and it `isIdle`, which
   * {@link collect} notices.
   */
  retire(timeline: Timeline, isIdle: () => boolean, onDone: () => void): void {
    this.#retiring.push({ timeline, mark: timeline.mark(), isIdle, onDone });
  }

  /** Forgets the streams that have become idle since they were retired. */
  collect(): void {
    if (this.#retiring.length === 0) return;
    const done = this.#retiring.filter(
      ({ timeline, mark, isIdle }) => timeline.isReached(mark) && isIdle(),
    );
    if (done.length === 0) return;
    this.#retiring = this.#retiring.filter((stream) => !done.includes(stream));
    for (const { timeline, onDone } of done) {
      this.#timelines.splice(this.#timelines.indexOf(timeline), 1);
      this.isSingle = this.#timelines.length <= 1;
      onDone();
    }
  }

  /** A point after everything enqueued so far, on any stream. */
  mark(): Point {
    return this.#timelines.map((timeline) => ({ timeline, mark: timeline.mark() }));
  }
}

/** Whether the work before a point is done. Throws what went wrong in it. */
export function isReached(point: Point): boolean {
  return point.every(({ timeline, mark }) => timeline.isReached(mark));
}

/** Blocks until the work before a point is done. */
export function waitNow(point: Point): void {
  for (const { timeline, mark } of point) timeline.waitNow(mark);
}
