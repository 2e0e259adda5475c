import type { Address, Handle } from '../driver/driver.ts';
import type { Call } from '../kernel.ts';
import type { DeviceMemory, ScratchOwner } from '../memory/device-memory.ts';
import type { Block, DeviceMemoryPool } from '../memory/device-pool.ts';
import { type CounterPool, Counters } from './counters.ts';

/**
 * What calls on one stream use beside their tensors. Work of a stream runs in order, so its calls may
 * share scratch and counters; those of another stream may not, hence one of these for each. Nor may a
 * graph share them with the stream that it was recorded on: it may be replayed on another.
 */
export class StreamState implements Call, ScratchOwner {
  readonly stream: Handle;
  pool: DeviceMemoryPool | undefined;
  recordingPool: DeviceMemoryPool | undefined;
  readonly #memory: DeviceMemory;
  readonly #counterPool: CounterPool;
  readonly #counters: Counters;
  #recorded: Counters | undefined;
  /** Scratch of the call at hand. */
  readonly #scratch: Block[] = [];

  constructor(stream: Handle, memory: DeviceMemory, counterPool: CounterPool) {
    this.stream = stream;
    this.#memory = memory;
    this.#counterPool = counterPool;
    this.#counters = new Counters(counterPool);
  }

  workspace(bytes: number): Address {
    if (bytes === 0) return 0;
    const block = this.#memory.takeScratch(bytes, this);
    this.#scratch.push(block);
    return block.address;
  }

  counters(count: number): Address {
    return (this.#recorded ?? this.#counters).get(count);
  }

  /** All work of the call at hand is enqueued: its scratch may serve the next. */
  endCall(): void {
    for (let block = this.#scratch.pop(); block !== undefined; block = this.#scratch.pop()) {
      this.#memory.giveScratch(block, this);
    }
  }

  /** From here to {@link endRecording} counters are the graph's: the function releases them. */
  beginRecording(): () => void {
    const counters = new Counters(this.#counterPool);
    this.#recorded = counters;
    return () => counters.release();
  }

  endRecording(): void {
    this.#recorded = undefined;
    this.recordingPool = undefined;
  }

  /** All work of the stream is done, and there will be no more. */
  release(): void {
    this.#counters.release();
    this.#memory.adoptScratch(this);
  }
}
