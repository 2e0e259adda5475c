import {
  DeviceLostError,
  DisposedError,
  FlashMlaError,
  UnsupportedOperationError,
} from '@flash-mla/core';
import type {
  Backend,
  BackendEvent,
  BackendGraph,
  BackendMeasurements,
  BackendStream,
  DeviceInfo,
  HostMemory,
  MemoryStats,
} from '../device/backend.ts';
import { isHostMemory, ordinaryMemory } from '../device/host-memory.ts';
import { QueueStream } from '../device/one-queue.ts';
import type { AnyOperation, Operation } from '../operation/operation.ts';
import { fillByWrites } from '../tensor/fill.ts';
import type { DeviceBuffer } from '../tensor/view.ts';
import { DebugChecks } from './debug-checks.ts';
import type { AnyWebGpuKernel } from './kernel.ts';
import { copyRanges } from './launch/buffers.ts';
import { measurements } from './measurements.ts';
import { CommandQueue } from './runtime/command-queue.ts';
import type { Capabilities } from './runtime/limits.ts';
import { Memory, type WebGpuBuffer } from './runtime/memory.ts';
import { Pipelines } from './runtime/pipelines.ts';
import { Readback } from './runtime/readback.ts';
import { Recorder } from './runtime/recorder.ts';
import { Runtime } from './runtime/runtime.ts';
import { upload } from './runtime/upload.ts';

/** A WebGPU device behind the backend contract. Calls enqueue; the queue keeps their order. */
export class WebGpuBackend implements Backend {
  readonly info: DeviceInfo;
  readonly measurements: BackendMeasurements;
  readonly reachesHostMemory = false;
  readonly defaultStream: BackendStream = new QueueStream(this);
  stream = this.defaultStream;
  readonly #runtime: Runtime;
  readonly #readback: Readback;
  readonly #debug: DebugChecks | undefined;
  readonly #kernels: ReadonlyMap<AnyOperation, AnyWebGpuKernel>;

  constructor(
    device: GPUDevice,
    info: DeviceInfo,
    capabilities: Capabilities,
    kernels: readonly AnyWebGpuKernel[],
    debug: boolean,
  ) {
    this.info = info;
    this.#kernels = new Map(kernels.map((kernel) => [kernel.operation, kernel]));
    const recorder = new Recorder(device);
    const queue = new CommandQueue(device, info.id, recorder);
    const memory = new Memory(device, info.id, capabilities, (error) => queue.fail(error));
    this.#runtime = new Runtime(device, capabilities, memory, queue, new Pipelines(device));
    this.#readback = new Readback(device, queue);
    this.#debug = debug ? new DebugChecks(this.#runtime, this.#readback) : undefined;
    this.measurements = measurements(this.#runtime, recorder, info.details.software === true);
    void device.lost.then(({ reason, message }) => {
      queue.close(
        reason === 'destroyed'
          ? DisposedError.whilePending(info.id)
          : new DeviceLostError(info.id, message || 'the driver gave no reason'),
      );
    });
    device.addEventListener('uncapturederror', (event) => {
      event.preventDefault();
      queue.fail(new FlashMlaError(`device '${info.id}': ${event.error.message}`));
    });
  }

  createStream(): BackendStream {
    return new QueueStream(this);
  }

  /** A point in the one queue. */
  record(): BackendEvent {
    this.#checkOpen();
    const { queue, device } = this.#runtime;
    let isDone = false;
    const done = queue
      .submitted()
      .then(() => device.queue.onSubmittedWorkDone())
      .then(() => this.#readback.arrived())
      .catch(() => undefined) // `check` tells why.
      .then(() => {
        isDone = true;
      });
    return {
      isDone: () => {
        this.#checkOpen();
        return isDone;
      },
      synchronize: async () => {
        await done;
        this.#checkOpen();
        await queue.check();
      },
    };
  }

  allocate(byteLength: number): DeviceBuffer {
    this.#checkOpen();
    return this.#runtime.memory.allocate(byteLength);
  }

  release(buffer: DeviceBuffer): void {
    if (isHostMemory(buffer)) return;
    this.#runtime.release(buffer as WebGpuBuffer);
  }

  write(buffer: DeviceBuffer, byteOffset: number, bytes: Uint8Array): void {
    this.#checkOpen();
    if (bytes.byteLength > 0) upload(this.#runtime, buffer as WebGpuBuffer, byteOffset, bytes);
  }

  fill(buffer: DeviceBuffer, byteOffset: number, byteLength: number, element: Uint8Array): void {
    fillByWrites(this, buffer, byteOffset, byteLength, element);
  }

  copy(
    source: DeviceBuffer,
    sourceOffset: number,
    target: DeviceBuffer,
    targetOffset: number,
    byteLength: number,
  ): void {
    this.#checkOpen();
    copyRanges(
      this.#runtime,
      { buffer: source as WebGpuBuffer, begin: sourceOffset, end: sourceOffset + byteLength },
      { buffer: target as WebGpuBuffer, begin: targetOffset, end: targetOffset + byteLength },
    );
  }

  allocateHost(byteLength: number): HostMemory {
    return ordinaryMemory(byteLength);
  }

  copyFromHost(
    { bytes }: HostMemory,
    sourceOffset: number,
    target: DeviceBuffer,
    targetOffset: number,
    byteLength: number,
  ): void {
    this.#checkOpen();
    const source = bytes.subarray(sourceOffset, sourceOffset + byteLength);
    upload(this.#runtime, target as WebGpuBuffer, targetOffset, source, true);
  }

  copyToHost(
    source: DeviceBuffer,
    sourceOffset: number,
    { bytes }: HostMemory,
    targetOffset: number,
    byteLength: number,
  ): void {
    this.#checkOpen();
    const range = {
      buffer: source as WebGpuBuffer,
      begin: sourceOffset,
      end: sourceOffset + byteLength,
    };
    const target = bytes.subarray(targetOffset, targetOffset + byteLength);
    this.#runtime.queue.enqueue(this.#readback.delivery(range, target));
  }

  async read(buffer: DeviceBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    this.#checkOpen();
    const bytes = this.#readback.read({
      buffer: buffer as WebGpuBuffer,
      begin: byteOffset,
      end: byteOffset + byteLength,
    });
    if (this.#debug) await Promise.all([bytes, this.#debug.report()]);
    return bytes;
  }

  async synchronize(): Promise<void> {
    const { queue, device } = this.#runtime;
    await queue.submitted();
    this.#checkOpen();
    await device.queue.onSubmittedWorkDone().catch(() => undefined); // `check` tells why.
    await this.#readback.arrived();
    await queue.check();
    await this.#debug?.report();
  }

  memoryStats(): MemoryStats {
    return this.#runtime.memory.stats();
  }

  run<Args extends object>(operation: Operation<Args, never, unknown>, args: Args): void {
    this.#checkOpen();
    const kernel = this.#kernelOf(operation);
    if (this.#debug) this.#debug.enqueue(operation.checks?.(args) ?? []);
    kernel.launch(this.#runtime, args);
  }

  traits<Shape, Traits>(operation: Operation<never, Shape, Traits>, shape: Shape): Traits {
    const kernel = this.#kernelOf(operation);
    return kernel.traits?.(shape, this.#runtime.capabilities) as Traits;
  }

  capture(enqueue: () => void): BackendGraph {
    this.#checkOpen();
    const runtime = this.#runtime;
    const { commands, scratch } = runtime.capture(enqueue);
    let disposed = false;
    return {
      replay: () => {
        this.#checkOpen();
        if (disposed) throw new DisposedError('graph');
        for (const command of commands) runtime.queue.enqueue(command);
      },
      dispose: () => {
        if (disposed) return;
        disposed = true;
        for (const buffer of scratch) runtime.release(buffer);
      },
    };
  }

  async close(): Promise<void> {
    const { queue, device } = this.#runtime;
    queue.close(DisposedError.whilePending(this.info.id));
    device.destroy();
    await device.lost;
  }

  #kernelOf(operation: AnyOperation): AnyWebGpuKernel {
    const kernel = this.#kernels.get(operation);
    if (kernel) return kernel;
    throw new UnsupportedOperationError(operation.name, this.info.id);
  }

  #checkOpen(): void {
    const error = this.#runtime.queue.closed;
    if (error) throw error;
  }
}
