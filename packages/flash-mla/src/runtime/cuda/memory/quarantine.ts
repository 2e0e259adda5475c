import { isReached, type Point, type StreamOrder, waitNow } from '../stream/stream-order.ts';

/**
 * What may be used again once all streams are done with it. Whoever gives something back cannot know
 * which streams still use it, so it stays here until each of them has got past that moment.
 *
 * Marks are taken for all that has gathered when somebody asks for memory, not for each piece.
 */
export class Quarantine {
  readonly #order: StreamOrder;
  /** Looked at on every call. */
  isEmpty = true;
  #open: (() => void)[] = [];
  readonly #sealed: { readonly point: Point; readonly releases: readonly (() => void)[] }[] = [];

  constructor(order: StreamOrder) {
    this.#order = order;
  }

  /** `release` runs once the work enqueued so far is done on every stream. */
  add(release: () => void): void {
    this.#open.push(release);
    this.isEmpty = false;
  }

  /** Releases what no stream uses any more. */
  collect(): void {
    this.#order.collect();
    // A single stream runs in order, and the others have become idle.
    if (this.#order.isSingle) this.releaseAll();
    else {
      this.#seal();
      let done = 0;
      for (const { point } of this.#sealed) {
        if (!isReached(point)) break;
        done++;
      }
      for (const { releases } of this.#sealed.splice(0, done)) run(releases);
      this.isEmpty = this.#open.length === 0 && this.#sealed.length === 0;
    }
  }

  /** Blocks until everything here can be released, and releases it. */
  waitNow(): void {
    this.#seal();
    const last = this.#sealed.at(-1);
    if (last !== undefined) waitNow(last.point);
    this.collect();
  }

  /** Releases everything: no work is under way. */
  releaseAll(): void {
    for (const { releases } of this.#sealed.splice(0)) run(releases);
    const open = this.#open;
    this.#open = [];
    run(open);
    this.isEmpty = this.#open.length === 0;
  }

  #seal(): void {
    if (this.#open.length === 0) return;
    const releases = this.#open;
    this.#open = [];
    this.#sealed.push({ point: this.#order.mark(), releases });
  }
}

function run(releases: readonly (() => void)[]): void {
  for (const release of releases) release();
}
