import { OutOfMemoryError } from '@flash-mla/core';
import type { HostMemory } from '../../device/backend.ts';
import type { SharedContext } from '../device/shared-context.ts';
import type { Address, LockedMemory } from '../driver/driver.ts';
import { CudaDriverError } from '../driver/driver-error.ts';
import { cudaResults } from '../driver/results.ts';
import { isReached, type Point, type StreamOrder } from '../stream/stream-order.ts';

/** Host memory as copies and kernels know it. */
export class CudaHostMemory implements HostMemory {
  readonly byteLength: number;
  readonly bytes: Uint8Array;
  /** For kernels, as of any buffer. */
  readonly address: Address;
  readonly locked: LockedMemory;

  constructor(locked: LockedMemory) {
    this.locked = locked;
    this.bytes = locked.bytes;
    this.byteLength = locked.bytes.byteLength;
    this.address = locked.deviceAddress;
  }
}

/**
 * Memory of the process that is page-locked for copies. Its lock goes with a lost device, the memory
 * does not: whoever still has it touches nothing that is freed.
 */
export class HostBuffers {
  readonly #shared: SharedContext;
  readonly #order: StreamOrder;
  readonly #locked = new Set<LockedMemory>();
  /** Given back while a graph was recorded, when no stream can be marked. */
  #unmarked: LockedMemory[] = [];
  #released: { readonly memory: LockedMemory; readonly point: Point }[] = [];

  constructor(shared: SharedContext, order: StreamOrder) {
    this.#shared = shared;
    this.#order = order;
  }

  /** Throws {@link OutOfMemoryError}. */
  allocate(byteLength: number): CudaHostMemory {
    try {
      const memory = this.#shared.context.lockMemory(byteLength);
      this.#locked.add(memory);
      return new CudaHostMemory(memory);
    } catch (error) {
      const isFull = error instanceof CudaDriverError && error.code === cudaResults.outOfMemory;
      // A RangeError is what engines throw where there is no room for the bytes.
      if (!isFull && !(error instanceof RangeError)) throw error;
      const remedy = 'Pin less memory: it cannot be swapped, and the system limits it.';
      throw new OutOfMemoryError('host', byteLength, undefined, remedy);
    }
  }

  /** Unlocks memory once the work enqueued until {@link mark} is called, on all streams, is done. */
  release({ locked }: CudaHostMemory): void {
    this.#unmarked.push(locked);
  }

  /** To be called after {@link release}, outside of captures. */
  mark(): void {
    if (this.#unmarked.length === 0) return;
    const point = this.#order.mark();
    for (const memory of this.#unmarked.splice(0)) this.#released.push({ memory, point });
    // Nobody may ask for memory again: then this notices.
    Promise.all(point.map(({ timeline, mark }) => timeline.wait(mark))).then(
      () => this.#collect(),
      () => {}, // The device is lost or closed.
    );
  }

  /** Unlocks everything; all work must be done. */
  destroy(): void {
    for (const memory of this.#locked) this.#shared.context.unlockMemory(memory);
    this.#locked.clear();
    this.#released = [];
  }

  #collect(): void {
    if (this.#shared.lost) return;
    const done = this.#released.filter(({ point }) => isReached(point));
    this.#released = this.#released.filter((entry) => !done.includes(entry));
    for (const { memory } of done) {
      if (this.#locked.delete(memory)) this.#shared.context.unlockMemory(memory);
    }
  }
}
