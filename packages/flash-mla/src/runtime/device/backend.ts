/**
 * The one contract between the library and a device. It names no operation: those are values, and
 * their kernels are registered with the device.
 *
 * Whoever calls has validated everything and allocated the outputs. A backend trusts the arguments of
 * an operation. Every method that touches memory only enqueues, on the stream of the moment; work of a
 * stream runs in the order of the calls.
 */

import type { Operation } from '../operation/operation.ts';
import type { DeviceBuffer } from '../tensor/view.ts';

/** Which device a backend opened. */
export interface DeviceInfo {
  readonly backend: 'cpu' | 'cuda' | 'webgpu' | 'sim';
  /** The spec that opens this device again, e.g. `cuda:1`. */
  readonly id: string;
  /** Human-readable name, e.g. `NVIDIA H200`. */
  readonly name: string;
  /** Parallel workers of the device: threads on the CPU, multiprocessors on a GPU. */
  readonly parallelism: number;
  /** Total device memory in bytes, where known. */
  readonly memoryBytes?: number;
  /** Backend-specific facts for `doctor`, in display order. */
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

/** Device memory in bytes. */
export interface MemoryStats {
  /** Held by live tensors, and by graphs for tensors that are disposed of. */
  readonly allocated: number;
  /** Taken from the system, including caches and workspaces. */
  readonly reserved: number;
  /** Largest `allocated` so far. */
  readonly peak: number;
}

/**
 * Host memory that copies reach by themselves: page-locked where the device can use that. Kernels reach it
 * too where `reachesHostMemory` says so.
 */
export interface HostMemory extends DeviceBuffer {
  readonly bytes: Uint8Array;
}

/** A point in the work of a stream. */
export interface BackendEvent {
  /** Whether the work before it is done. Throws what went wrong in it. */
  isDone(): boolean;
  /** Resolves once the work before it is done; rejects with what went wrong in it. */
  synchronize(): Promise<void>;
}

/**
 * An order of work: what is enqueued on one stream runs in the order of the calls. A device that has one
 * queue runs all streams in the order of the calls.
 */
export interface BackendStream {
  /** A point after the work enqueued so far. Within a capture it becomes part of the graph. */
  record(): BackendEvent;
  /** What is enqueued later waits for that point. Within a capture the stream takes part in the graph. */
  wait(event: BackendEvent): void;
  /** Resolves once the work enqueued so far is done; rejects with what went wrong in it. */
  synchronize(): Promise<void>;
  /** Gives the stream back once its work is done. Idempotent. */
  dispose(): void;
}

/** A recorded sequence of operations; lengths on the device may change between replays. */
export interface BackendGraph {
  replay(): void;
  dispose(): void;
}

/** Limits of a device, measured on it: what a benchmark compares its figures with. */
export interface DeviceCeilings {
  /** Operations per second of the fastest multiply-add that kernels can use, on registers alone. */
  readonly flopsPerSecond?: number;
  /** What `flopsPerSecond` is, e.g. `f32x4.relaxed_madd on registers, 2 threads`. */
  readonly flopsOf?: string;
  /** Bytes per second read from memory; read and written by a copy. */
  readonly readBytesPerSecond?: number;
  readonly copyBytesPerSecond?: number;
  /** Last-level cache in bytes. */
  readonly cacheBytes?: number;
}

/** What only benchmarks ask of a backend. */
export interface BackendMeasurements {
  /** Seconds the device spends on what `enqueue` enqueues (events); absent: callers take wall time. */
  deviceTime?(enqueue: () => void): Promise<number>;
  /** Measures now: takes about a second. */
  ceilings?(): Promise<DeviceCeilings>;
}

/**
 * What memory is for, where a device has more than one kind. `weights`: large matrices that are written once and
 * read by products.
 */
export type MemoryPurpose = 'weights';

/** One opened device. */
export interface Backend {
  readonly info: DeviceInfo;
  readonly measurements?: BackendMeasurements;
  readonly defaultStream: BackendStream;
  /** Where work goes that is enqueued now. */
  stream: BackendStream;

  /** A stream whose work comes after what was enqueued on the default stream so far. */
  createStream(name: string): BackendStream;
  /** Throws {@link OutOfMemoryError}. The contents are undefined. */
  allocate(byteLength: number, purpose?: MemoryPurpose): DeviceBuffer;
  /** Gives memory back once the work enqueued so far, on all streams, is done. */
  release(buffer: DeviceBuffer): void;
  /** Enqueues a copy to the device; `bytes` may change as soon as this returns. */
  write(buffer: DeviceBuffer, byteOffset: number, bytes: Uint8Array): void;
  /** Enqueues writing an element (1, 2, 4 or 8 bytes) again and again; both numbers are multiples of it. */
  fill(buffer: DeviceBuffer, byteOffset: number, byteLength: number, element: Uint8Array): void;
  /** Enqueues a copy on the device, between ranges that do not overlap. */
  copy(
    source: DeviceBuffer,
    sourceOffset: number,
    target: DeviceBuffer,
    targetOffset: number,
    byteLength: number,
  ): void;
  /** Whether kernels take host memory in place of the device's. */
  readonly reachesHostMemory: boolean;
  /** Host memory, zeros; `release` gives it back. Throws {@link OutOfMemoryError}. */
  allocateHost(byteLength: number): HostMemory;
  /**
   * Enqueues a copy from host memory, which is read when the work before the copy is done or earlier.
   * Within a capture each replay reads it.
   */
  copyFromHost(
    source: HostMemory,
    sourceOffset: number,
    target: DeviceBuffer,
    targetOffset: number,
    byteLength: number,
  ): void;
  /** Enqueues a copy to host memory, which is written before an event after it is done. */
  copyToHost(
    source: DeviceBuffer,
    sourceOffset: number,
    target: HostMemory,
    targetOffset: number,
    byteLength: number,
  ): void;
  /** Bytes as they are once the work enqueued so far is done. Never blocks the event loop. */
  read(buffer: DeviceBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array>;
  /** Resolves once all work enqueued so far, on all streams, is done; rejects with what went wrong. */
  synchronize(): Promise<void>;
  memoryStats(): MemoryStats;

  /**
   * Enqueues an operation on the kernel that its arguments select. Throws
   * {@link UnsupportedOperationError} where this device has none.
   */
  run<Args extends object>(operation: Operation<Args, never, unknown>, args: Args): void;
  /**
   * What the kernel that would run such a call says about itself. Pure: enqueues nothing.
   */
  traits<Shape, Traits>(operation: Operation<never, Shape, Traits>, shape: Shape): Traits;

  /**
   * Records what `enqueue` enqueues, on the stream of the moment and those that join it, instead of
   * running it.
   */
  capture(enqueue: () => void): BackendGraph;

  /** Stops the device; what is pending rejects with `DisposedError.whilePending`. Idempotent. */
  close(): Promise<void>;
}
