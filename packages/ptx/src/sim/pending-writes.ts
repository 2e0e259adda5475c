/** Copies to global memory that have not arrived. */
export class PendingWrites {
  readonly #ranges = new Map<object, Pending>();

  get count(): number {
    return this.#ranges.size;
  }

  add(copy: object, pending: Pending): void {
    this.#ranges.set(copy, pending);
  }

  remove(copy: object): void {
    this.#ranges.delete(copy);
  }

  /** The copy that will write some of these bytes. Whoever only adds to them need not mind sums. */
  conflict(address: number, size: number, adding: boolean): string | undefined {
    for (const { what, rows, adds } of this.#ranges.values()) {
      if (adding && adds) continue;
      if (rows.some(([from, to]) => address < to && address + size > from)) return what();
    }
    return undefined;
  }
}

/** A copy that has not arrived. */
interface Pending {
  /** Names it. */
  readonly what: () => string;
  /** The addresses that it will write. */
  readonly rows: readonly Range[];
  readonly adds: boolean;
}

/** Addresses from the first to before the second. */
export type Range = readonly [from: number, to: number];
