import type { Address, CudaContext } from '../driver/driver.ts';
import type { DeviceMemory } from '../memory/device-memory.ts';

/** Room for all CTAs that a GPU runs side by side, for most kernels. */
const leastCounters = 1024;

/** Counters in memory of their own, all 0 whenever no kernel is at them. */
interface CounterBlock {
  readonly address: Address;
  readonly count: number;
}

/**
 * Counters that nobody uses at present. Kernels leave them at 0, so that they serve the next owner as
 * they are.
 */
export class CounterPool {
  readonly #context: CudaContext;
  readonly #memory: DeviceMemory;
  readonly #free: CounterBlock[] = [];

  constructor(context: CudaContext, memory: DeviceMemory) {
    this.#context = context;
    this.#memory = memory;
  }

  /** Throws `OutOfMemoryError`. */
  take(count: number): CounterBlock {
    const at = this.#free.findIndex((block) => block.count >= count);
    const [found] = at < 0 ? [] : this.#free.splice(at, 1);
    if (found !== undefined) return found;
    const size = Math.max(leastCounters, 2 ** Math.ceil(Math.log2(count)));
    const { address } = this.#memory.takeForGood(size * 4);
    this.#clear(address, size);
    return { address, count: size };
  }

  /** No work uses them any more. */
  give(blocks: readonly CounterBlock[]): void {
    this.#free.push(...blocks);
  }

  /** At once, and also where a stream's work is being recorded, to which it does not belong. */
  #clear(address: Address, words: number): void {
    const context = this.#context;
    const stream = context.createStream();
    const event = context.createEvent(false);
    try {
      context.fill(address, 0, words, stream);
      context.recordEvent(event, stream);
      context.synchronizeEvent(event);
    } finally {
      context.destroyEvent(event);
      context.destroyStream(stream);
    }
  }
}

/** The counters of one order of work: a stream's, or those of a stream within a graph. */
export class Counters {
  readonly #pool: CounterPool;
  /** The last serves; those before it were too few, and launches under way may still be at them. */
  readonly #blocks: CounterBlock[] = [];
  #address: Address = 0;
  #count = 0;

  constructor(pool: CounterPool) {
    this.#pool = pool;
  }

  get(count: number): Address {
    if (count > this.#count) this.#grow(count);
    return this.#address;
  }

  /** No work uses them any more. */
  release(): void {
    this.#pool.give(this.#blocks.splice(0));
    this.#count = 0;
  }

  #grow(count: number): void {
    const block = this.#pool.take(count);
    this.#blocks.push(block);
    this.#address = block.address;
    this.#count = block.count;
  }
}
