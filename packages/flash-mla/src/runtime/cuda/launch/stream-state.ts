import type { Address, CudaContext, Handle } from '../driver/driver.ts';
import type { Call } from '../kernel.ts';
import type { DeviceMemory } from '../memory/device-memory.ts';
import type { Block } from '../memory/device-pool.ts';

/** Room for all CTAs that a GPU runs side by side, for most kernels. */
const leastCounters = 1024;

/**
 * What calls on one stream use beside their tensors. Work of a stream runs in order, so its calls may
 * share scratch and counters; those of another stream may not, hence one of these for each.
 */
export class StreamState implements Call {
  readonly stream: Handle;
  readonly #context: CudaContext;
  readonly #memory: DeviceMemory;
  /** Scratch of the call at hand. */
  readonly #scratch: Block[] = [];
  #counters: { readonly address: Address; readonly count: number } | undefined;

  constructor(stream: Handle, context: CudaContext, memory: DeviceMemory) {
    this.stream = stream;
    this.#context = context;
    this.#memory = memory;
  }

  workspace(bytes: number): Address {
    if (bytes === 0) return 0;
    const block = this.#memory.takeScratch(bytes);
    this.#scratch.push(block);
    return block.address;
  }

  counters(count: number): Address {
    if (this.#counters === undefined || this.#counters.count < count) {
      const size = Math.max(leastCounters, 2 ** Math.ceil(Math.log2(count)));
      const { address } = this.#memory.takeForGood(size * 4);
      this.#clear(address, size);
      this.#counters = { address, count: size };
    }
    return this.#counters.address;
  }

  /** All work of the call at hand is enqueued: its scratch may serve the next. */
  endCall(): void {
    for (let block = this.#scratch.pop(); block !== undefined; block = this.#scratch.pop()) {
      this.#memory.giveScratch(block);
    }
  }

  /** At once, and also where the stream's work is being recorded, to which it does not belong. */
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
