import type { CudaContext, PinnedMemory } from '../driver/driver.ts';
import type { Timeline } from '../stream/timeline.ts';

/** Largest block, and so the largest piece of one transfer. */
export const largestPinned = 2 ** 24;
const smallestPinned = 2 ** 16;
/** Beyond this, taking waits for transfers under way rather than pin more of the host's memory. */
const keptBytes = 2 ** 27;

/**
 * Page-locked host memory for transfers. A block comes back with the mark after which the device no
 * longer touches it and is handed out again once that is reached.
 */
export class PinnedPool {
  readonly #context: CudaContext;
  readonly #timeline: Timeline;
  readonly #free = new Map<number, PinnedMemory[]>();
  readonly #busy: { readonly memory: PinnedMemory; readonly mark: number }[] = [];
  readonly #all = new Set<PinnedMemory>();
  #total = 0;

  constructor(context: CudaContext, timeline: Timeline) {
    this.#context = context;
    this.#timeline = timeline;
  }

  /** At least `bytes`, at most {@link largestPinned}. May block while transfers are under way. */
  take(bytes: number): PinnedMemory {
    const size = sizeFor(bytes);
    const ready = this.#takeFree(size);
    if (ready) return ready;
    this.#collect();
    const collected = this.#takeFree(size);
    if (collected) return collected;
    while (this.#total + size > keptBytes && this.#busy[0] !== undefined) {
      this.#timeline.waitNow(this.#busy[0].mark);
      this.#collect();
      const waited = this.#takeFree(size);
      if (waited) return waited;
    }
    if (this.#total + size > keptBytes) this.#freeAll();
    return this.#allocate(size);
  }

  /** As {@link take}, without asking the device how far it is: for use while a graph is recorded. */
  takeAtOnce(bytes: number): PinnedMemory {
    const size = sizeFor(bytes);
    return this.#takeFree(size) ?? this.#allocate(size);
  }

  /** Blocks are given back in the order of their marks. */
  give(memory: PinnedMemory, mark: number): void {
    this.#busy.push({ memory, mark });
  }

  /** Gives everything back to the system, what is taken as well; all transfers must be done. */
  destroy(): void {
    for (const memory of this.#all) this.#context.freePinned(memory);
    this.#all.clear();
    this.#busy.length = 0;
    this.#free.clear();
    this.#total = 0;
  }

  #allocate(size: number): PinnedMemory {
    const memory = this.#context.allocatePinned(size);
    this.#all.add(memory);
    this.#total += size;
    return memory;
  }

  #takeFree(size: number): PinnedMemory | undefined {
    return this.#free.get(size)?.pop();
  }

  #collect(): void {
    let done = 0;
    for (const { memory, mark } of this.#busy) {
      if (!this.#timeline.isReached(mark)) break;
      this.#insert(memory);
      done++;
    }
    if (done > 0) this.#busy.splice(0, done);
  }

  #insert(memory: PinnedMemory): void {
    const size = memory.bytes.length;
    const list = this.#free.get(size);
    if (list) list.push(memory);
    else this.#free.set(size, [memory]);
  }

  #freeAll(): void {
    for (const list of this.#free.values()) {
      for (const memory of list.splice(0)) {
        this.#context.freePinned(memory);
        this.#all.delete(memory);
        this.#total -= memory.bytes.length;
      }
    }
  }
}

function sizeFor(bytes: number): number {
  return Math.max(smallestPinned, 2 ** Math.ceil(Math.log2(Math.max(1, bytes))));
}
