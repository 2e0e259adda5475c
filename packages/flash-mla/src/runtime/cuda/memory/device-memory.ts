import { OutOfMemoryError } from '@flash-mla/core';
import type { MemoryStats } from '../../device/backend.ts';
import type { DeviceBuffer } from '../../tensor/view.ts';
import type { SharedContext } from '../device/shared-context.ts';
import type { Address } from '../driver/driver.ts';
import { CudaDriverError } from '../driver/driver-error.ts';
import { cudaResults } from '../driver/results.ts';
import { type Block, type DeviceMemoryPool, DevicePool, type MemorySource } from './device-pool.ts';
import { ExactPool } from './exact-pool.ts';

/** A tensor's memory. */
export interface CudaBuffer extends DeviceBuffer {
  readonly address: Address;
  readonly block: Block;
  readonly pool: DeviceMemoryPool;
}

/** Memory that a graph keeps: what was allocated or used as scratch while it was recorded. */
export interface GraphMemory {
  /** The graph is gone: what is free of it may serve others. */
  dispose(): void;
}

/** The memory of one backend on a device: tensors and scratch, with statistics. */
export class DeviceMemory {
  readonly #shared: SharedContext;
  readonly #exact: boolean;
  readonly #source: MemorySource;
  readonly #main: DeviceMemoryPool;
  /** Never handed out twice. */
  readonly #kept: DeviceMemoryPool;
  readonly #graphs = new Set<DeviceMemoryPool>();
  #recording: DeviceMemoryPool | undefined;
  #allocated = 0;
  #peak = 0;

  /** `exact`: no caching, for simulators and sanitizers. */
  constructor(shared: SharedContext, exact: boolean) {
    const { context } = shared;
    this.#shared = shared;
    this.#exact = exact;
    this.#source = {
      allocate: (bytes) => context.allocate(bytes),
      free: (address) => context.free(address),
    };
    this.#main = this.#newPool(false);
    this.#kept = new ExactPool(this.#source, false);
  }

  /** Throws {@link OutOfMemoryError}. */
  allocate(byteLength: number): CudaBuffer {
    const pool = this.#recording ?? this.#main;
    const block = this.#take(pool, byteLength);
    this.#allocated += byteLength;
    this.#peak = Math.max(this.#peak, this.#allocated);
    return { byteLength, address: block.address, block, pool };
  }

  /** The memory may be handed out again to work that is enqueued later. */
  release(buffer: CudaBuffer): void {
    this.#allocated -= buffer.byteLength;
    buffer.pool.give(buffer.block);
  }

  /** Memory for the operation at hand; give it back once its work is enqueued. */
  takeScratch(bytes: number): Block {
    return this.#take(this.#recording ?? this.#main, bytes);
  }

  /** Memory that stays taken, and that no work enqueued so far uses. */
  takeForGood(bytes: number): Block {
    return this.#take(this.#kept, bytes);
  }

  giveScratch(block: Block): void {
    (this.#recording ?? this.#main).give(block);
  }

  /** From here to {@link endRecording} memory comes from a pool that the graph keeps. */
  beginRecording(): void {
    this.#recording = this.#newPool(true);
  }

  endRecording(): GraphMemory {
    const pool = this.#recording ?? this.#newPool(true);
    this.#recording = undefined;
    this.#graphs.add(pool);
    return {
      dispose: () => {
        if (this.#graphs.delete(pool)) pool.mergeInto(this.#main);
      },
    };
  }

  stats(): MemoryStats {
    let reserved = this.#main.reserved + this.#kept.reserved;
    for (const pool of this.#graphs) reserved += pool.reserved;
    return { allocated: this.#allocated, reserved, peak: this.#peak };
  }

  /** Gives everything back to the device. All graphs must be gone and all work done. */
  destroy(): void {
    this.#main.destroy();
    this.#kept.destroy();
  }

  #newPool(recording: boolean): DeviceMemoryPool {
    return this.#exact ? new ExactPool(this.#source, recording) : new DevicePool(this.#source);
  }

  #take(pool: DeviceMemoryPool, bytes: number): Block {
    try {
      return pool.take(bytes);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
    }
    this.#main.trim();
    try {
      return pool.take(bytes);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      const { free } = this.#shared.context.memoryInfo();
      throw new OutOfMemoryError(
        this.#shared.id,
        bytes,
        free,
        'Dispose of tensors, or use a device with more memory.',
      );
    }
  }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof CudaDriverError && error.code === cudaResults.outOfMemory;
}
