import { OutOfMemoryError } from '@flash-mla/core';
import type { MemoryStats } from '../../device/backend.ts';
import type { DeviceBuffer } from '../../tensor/view.ts';
import type { SharedContext } from '../device/shared-context.ts';
import type { Address } from '../driver/driver.ts';
import { CudaDriverError } from '../driver/driver-error.ts';
import { cudaResults } from '../driver/results.ts';
import type { StreamOrder } from '../stream/stream-order.ts';
import { type Block, type DeviceMemoryPool, DevicePool, type MemorySource } from './device-pool.ts';
import { ExactPool } from './exact-pool.ts';
import { Quarantine } from './quarantine.ts';

/** A tensor's memory. */
export interface CudaBuffer extends DeviceBuffer {
  readonly address: Address;
  readonly block: Block;
  readonly pool: DeviceMemoryPool;
}

/** Memory that is no tensor's. */
export interface Temporary {
  readonly block: Block;
  readonly pool: DeviceMemoryPool;
}

/** Memory that a graph keeps: what was allocated or used as scratch while it was recorded. */
export interface GraphMemory {
  /** The graph is gone and its replays are done: what is free of it may serve others. */
  dispose(): void;
}

/** A stream, as the owner of scratch that only its own work uses. */
export interface ScratchOwner {
  /** While there are several streams. */
  pool: DeviceMemoryPool | undefined;
  /** While a graph is recorded and there are several streams. */
  recordingPool: DeviceMemoryPool | undefined;
}

/**
 * The memory of one backend on a device: tensors and scratch, with statistics. While there is one
 * stream, what is given back may be taken at once: work runs in the order of enqueueing. With more of
 * them it waits in quarantine until all of them are done with it, and each has scratch of its own.
 */
export class DeviceMemory {
  readonly #shared: SharedContext;
  readonly #order: StreamOrder;
  readonly #exact: boolean;
  readonly #source: MemorySource;
  readonly #main: DeviceMemoryPool;
  /** Never handed out twice. */
  readonly #kept: DeviceMemoryPool;
  /** What graphs use: free or not, nobody else may have it. */
  readonly #graphs = new Set<DeviceMemoryPool>();
  /** Scratch of streams. */
  readonly #scratch = new Set<DeviceMemoryPool>();
  readonly #quarantine: Quarantine;
  #recording: { readonly pool: DeviceMemoryPool; readonly pools: DeviceMemoryPool[] } | undefined;
  #allocated = 0;
  #peak = 0;

  /** `exact`: no caching, for simulators and sanitizers. */
  constructor(shared: SharedContext, order: StreamOrder, exact: boolean) {
    const { context } = shared;
    this.#shared = shared;
    this.#order = order;
    this.#exact = exact;
    this.#quarantine = new Quarantine(order);
    this.#source = {
      allocate: (bytes) => context.allocate(bytes),
      free: (address) => context.free(address),
    };
    this.#main = this.#newPool(false);
    this.#kept = new ExactPool(this.#source, false);
  }

  /** Throws {@link OutOfMemoryError}. */
  allocate(byteLength: number): CudaBuffer {
    const pool = this.#recording?.pool ?? this.#main;
    const block = this.#take(pool, byteLength);
    this.#allocated += byteLength;
    this.#peak = Math.max(this.#peak, this.#allocated);
    return { byteLength, address: block.address, block, pool };
  }

  /** The memory may be handed out again to work that is enqueued later. */
  release(buffer: CudaBuffer): void {
    this.#allocated -= buffer.byteLength;
    this.giveTemporary(buffer);
  }

  /** Memory for a while. Throws {@link OutOfMemoryError}. */
  takeTemporary(bytes: number): Temporary {
    return { block: this.#take(this.#main, bytes), pool: this.#main };
  }

  giveTemporary({ pool, block }: Temporary): void {
    if (this.#order.isSingle) pool.give(block);
    else this.#quarantine.add(() => pool.give(block));
  }

  /** Memory for the operation at hand; give it back once its work is enqueued. */
  takeScratch(bytes: number, owner: ScratchOwner): Block {
    return this.#take(this.#scratchOf(owner), bytes);
  }

  giveScratch(block: Block, owner: ScratchOwner): void {
    this.#scratchOf(owner).give(block);
  }

  /** The scratch of a stream whose work is done may serve others. */
  adoptScratch(owner: ScratchOwner): void {
    if (owner.pool === undefined) return;
    this.#scratch.delete(owner.pool);
    owner.pool.mergeInto(this.#main);
    owner.pool = undefined;
  }

  /** Memory that stays taken, and that no work enqueued so far uses. */
  takeForGood(bytes: number): Block {
    return this.#take(this.#kept, bytes);
  }

  /** Calls `release` when work enqueued from then on comes after all work enqueued so far. */
  whenUnused(release: () => void): void {
    if (this.#order.isSingle) release();
    else this.#quarantine.add(release);
  }

  /** From here to {@link endRecording} memory comes from pools that the graph keeps. */
  beginRecording(): void {
    const pool = this.#newPool(true);
    this.#graphs.add(pool);
    this.#recording = { pool, pools: [pool] };
  }

  endRecording(): GraphMemory {
    const pools = this.#recording?.pools ?? [];
    this.#recording = undefined;
    return {
      dispose: () => {
        for (const pool of pools) if (this.#graphs.delete(pool)) pool.mergeInto(this.#main);
      },
    };
  }

  stats(): MemoryStats {
    let reserved = this.#main.reserved + this.#kept.reserved;
    for (const pool of [...this.#graphs, ...this.#scratch]) reserved += pool.reserved;
    return { allocated: this.#allocated, reserved, peak: this.#peak };
  }

  /** Gives everything back to the device. All graphs must be gone and all work done. */
  destroy(): void {
    this.#quarantine.releaseAll();
    for (const pool of [...this.#graphs, ...this.#scratch]) pool.destroy();
    this.#main.destroy();
    this.#kept.destroy();
  }

  #scratchOf(owner: ScratchOwner): DeviceMemoryPool {
    const recording = this.#recording;
    if (this.#order.isSingle) return recording?.pool ?? this.#main;
    if (recording === undefined) {
      if (owner.pool === undefined) {
        owner.pool = this.#newPool(false);
        this.#scratch.add(owner.pool);
      }
      return owner.pool;
    }
    // What one stream gives back within a graph, another may still use when it is replayed.
    if (owner.recordingPool === undefined) {
      owner.recordingPool = this.#newPool(true);
      this.#graphs.add(owner.recordingPool);
      recording.pools.push(owner.recordingPool);
    }
    return owner.recordingPool;
  }

  #newPool(recording: boolean): DeviceMemoryPool {
    return this.#exact ? new ExactPool(this.#source, recording) : new DevicePool(this.#source);
  }

  #take(pool: DeviceMemoryPool, bytes: number): Block {
    // While a graph is recorded, no stream may be asked how far it is.
    const mayAsk = this.#recording === undefined;
    if (!(this.#order.isSingle && this.#quarantine.isEmpty) && mayAsk) this.#quarantine.collect();
    try {
      return pool.take(bytes);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
    }
    if (mayAsk) this.#quarantine.waitNow();
    this.#main.trim();
    for (const scratch of this.#scratch) scratch.trim();
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
