/**
 * What a step in flight may still use, until that step has answered. A request can end or be preempted
 * at any moment; its pages and its row of the batch go back only when no step refers to them any more.
 */
export class DeferredFrees<T> {
  readonly #queue: { readonly step: number; readonly item: T }[] = [];

  get length(): number {
    return this.#queue.length;
  }

  /** Keeps an item until `step` is done. Steps must not go back. */
  add(step: number, item: T): void {
    this.#queue.push({ step, item });
  }

  /** Takes out what waited for `step` or an earlier one. */
  take(step: number): T[] {
    let count = 0;
    while ((this.#queue[count]?.step ?? Number.POSITIVE_INFINITY) <= step) count++;
    return this.#queue.splice(0, count).map(({ item }) => item);
  }

  *[Symbol.iterator](): Generator<T> {
    for (const { item } of this.#queue) yield item;
  }
}
