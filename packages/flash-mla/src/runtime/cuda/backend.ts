import {
  DeviceLostError,
  DisposedError,
  type FlashMlaError,
  InvalidArgumentError,
} from '@flash-mla/core';
import type {
  Backend,
  BackendGraph,
  BackendMeasurements,
  DeviceInfo,
  HostMemory,
  MemoryStats,
} from '../device/backend.ts';
import type { NumberCheck } from '../operation/number-check.ts';
import type { Operation } from '../operation/operation.ts';
import { fillByWrites, repeated } from '../tensor/fill.ts';
import type { DeviceBuffer } from '../tensor/view.ts';
import { type CheckNumbersArgs, checkNumbers } from './debug/check-numbers.ts';
import { DebugChecks, reportBytes } from './debug/debug-checks.ts';
import type { SharedContext } from './device/shared-context.ts';
import { CudaGraph } from './graph.ts';
import type { AnyCudaKernel } from './kernel.ts';
import { CounterPool } from './launch/counters.ts';
import type { KernelStore } from './launch/kernel-store.ts';
import { KernelTable } from './launch/kernel-table.ts';
import { asCudaBuffer, Launcher } from './launch/launcher.ts';
import type { DeviceLimits } from './limits.ts';
import { measurementsOf } from './measure/measurements.ts';
import { type CudaBuffer, DeviceMemory } from './memory/device-memory.ts';
import { CudaHostMemory, HostBuffers } from './memory/host-buffers.ts';
import { Capture } from './stream/capture.ts';
import { CudaStream, type StreamOwner } from './stream/cuda-stream.ts';
import { StreamOrder } from './stream/stream-order.ts';

/** What a {@link CudaBackend} is made of. */
export interface CudaBackendParts {
  readonly info: DeviceInfo;
  readonly shared: SharedContext;
  readonly limits: DeviceLimits;
  readonly store: KernelStore;
  readonly kernels: readonly AnyCudaKernel[];
  readonly debug: boolean;
  /** Every tensor in memory of its own: for simulators and sanitizers. */
  readonly exactMemory: boolean;
}

/** One GPU: a context, its streams and its memory. Also what runs on the simulated driver. */
export class CudaBackend implements Backend, StreamOwner {
  readonly info: DeviceInfo;
  readonly measurements: BackendMeasurements;
  readonly shared: SharedContext;
  readonly memory: DeviceMemory;
  readonly counters: CounterPool;
  readonly reachesHostMemory = true;
  readonly defaultStream: CudaStream;
  stream: CudaStream;
  readonly #order = new StreamOrder();
  readonly #streams = new Set<CudaStream>();
  readonly #host: HostBuffers;
  readonly #launcher: Launcher;
  readonly #kernels: KernelTable;
  readonly #debug: { readonly checks: DebugChecks; readonly buffer: CudaBuffer } | undefined;
  readonly #graphs = new Set<CudaGraph>();
  #capture: Capture | undefined;
  /** What debug mode found, until a read or synchronisation has reported it. */
  #failure: FlashMlaError | undefined;
  #closed = false;

  constructor(parts: CudaBackendParts) {
    const { shared, limits } = parts;
    const { context, driver } = shared;
    this.info = parts.info;
    this.shared = shared;
    shared.hold(this.#onLost);
    try {
      this.memory = new DeviceMemory(shared, this.#order, parts.exactMemory);
      this.#host = new HostBuffers(shared, this.#order);
      this.counters = new CounterPool(context, this.memory);
      const launcher = new Launcher({
        limits,
        context,
        kernels: parts.store,
        // Graphs record programmatic launches since CUDA 12.3.
        canOverlap: limits.sm >= 90 && driver.version >= 12_030,
        packageBuild: driver.packageBuild,
      });
      this.#launcher = launcher;
      this.#kernels = new KernelTable(parts.kernels, launcher, launcher.builtIn);
      this.defaultStream = this.#newStream('default stream');
      this.stream = this.defaultStream;
      const { state, timeline } = this.defaultStream;
      this.measurements = measurementsOf(context, state, timeline, launcher);
      if (parts.debug) {
        const buffer = this.memory.allocate(reportBytes);
        this.#debug = { checks: this.#newChecks(buffer), buffer };
      }
    } catch (error) {
      shared.release(this.#onLost);
      throw error;
    }
  }

  get recording(): Capture | undefined {
    return this.#capture;
  }

  createStream(name: string): CudaStream {
    this.#refuseWhileRecording('createStream()');
    const begin = this.defaultStream.record();
    const stream = this.#newStream(name);
    // What was given back before may still be in use there.
    stream.wait(begin);
    return stream;
  }

  /** A stream gets no more work; it goes once its work is done. */
  retire(stream: CudaStream): void {
    if (this.shared.lost || this.#closed) return;
    const isIdle = () => stream.transfers.isIdle;
    this.#order.retire(stream.timeline, isIdle, () => {
      this.#streams.delete(stream);
      stream.state.release();
      stream.destroy();
      if (this.#order.isSingle) this.memory.adoptScratch(this.defaultStream.state);
    });
  }

  allocate(byteLength: number): DeviceBuffer {
    this.shared.checkAlive();
    return this.memory.allocate(byteLength);
  }

  release(buffer: DeviceBuffer): void {
    if (this.shared.lost || this.#closed) return;
    if (buffer instanceof CudaHostMemory) {
      this.#host.release(buffer);
      if (!this.#capture) this.#host.mark();
    } else this.memory.release(asCudaBuffer(buffer));
  }

  write(buffer: DeviceBuffer, byteOffset: number, bytes: Uint8Array): void {
    const target = asCudaBuffer(buffer).address + byteOffset;
    if (this.#capture) this.#capture.write(this.stream, target, bytes);
    else this.stream.transfers.write(target, bytes);
  }

  fill(buffer: DeviceBuffer, byteOffset: number, byteLength: number, element: Uint8Array): void {
    const target = asCudaBuffer(buffer).address + byteOffset;
    const [low, high] = new Uint32Array(repeated(element, 8).buffer);
    if (target % 4 === 0 && byteLength % 4 === 0 && low === high) {
      this.shared.context.fill(target, low ?? 0, byteLength / 4, this.stream.handle);
    } else fillByWrites(this, buffer, byteOffset, byteLength, element);
  }

  copy(
    source: DeviceBuffer,
    sourceOffset: number,
    target: DeviceBuffer,
    targetOffset: number,
    byteLength: number,
  ): void {
    const from = asCudaBuffer(source).address + sourceOffset;
    const to = asCudaBuffer(target).address + targetOffset;
    this.shared.context.copyOnDevice(to, from, byteLength, this.stream.handle);
  }

  allocateHost(byteLength: number): HostMemory {
    this.shared.checkAlive();
    return this.#host.allocate(byteLength);
  }

  copyFromHost(
    source: HostMemory,
    sourceOffset: number,
    target: DeviceBuffer,
    targetOffset: number,
    byteLength: number,
  ): void {
    const from = (source as CudaHostMemory).locked.address + sourceOffset;
    const to = asCudaBuffer(target).address + targetOffset;
    this.shared.context.copyToDevice(to, from, byteLength, this.stream.handle);
  }

  copyToHost(
    source: DeviceBuffer,
    sourceOffset: number,
    target: HostMemory,
    targetOffset: number,
    byteLength: number,
  ): void {
    const from = asCudaBuffer(source).address + sourceOffset;
    const to = (target as CudaHostMemory).locked.address + targetOffset;
    this.shared.context.copyToHost(to, from, byteLength, this.stream.handle);
  }

  async read(buffer: DeviceBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    this.#refuseWhileRecording('read()');
    const { stream } = this;
    const bytes = stream.transfers.read(asCudaBuffer(buffer).address + byteOffset, byteLength);
    return this.#debug ? this.checked(bytes, stream) : bytes;
  }

  async synchronize(): Promise<void> {
    this.#refuseWhileRecording('synchronize()');
    const [first, ...others] = this.#streams;
    if (others.length === 0) return first?.synchronize();
    await Promise.all([...this.#streams].map((stream) => stream.synchronize()));
  }

  memoryStats(): MemoryStats {
    return this.memory.stats();
  }

  run<Args extends object>(operation: Operation<Args, never, unknown>, args: Args): void {
    const { state } = this.stream;
    if (this.#debug !== undefined && !this.#passes(operation.checks?.(args) ?? [])) return;
    this.#launcher.markComputed(operation.writes(args));
    try {
      this.#kernels.run(operation, args, state);
    } finally {
      state.endCall();
    }
  }

  traits<Shape, Traits>(operation: Operation<never, Shape, Traits>, shape: Shape): Traits {
    return this.#kernels.traits(operation, shape) as Traits;
  }

  capture(enqueue: () => void): BackendGraph {
    this.#refuseWhileRecording('capture()');
    const { context } = this.shared;
    const capture = new Capture(context, this.stream, this.defaultStream.transfers);
    this.#capture = capture;
    this.memory.beginRecording();
    let problem: { readonly error: unknown } | undefined;
    try {
      enqueue();
    } catch (error) {
      problem = { error };
    }
    this.#capture = undefined;
    const memory = this.memory.endRecording();
    const release = () =>
      this.memory.whenUnused(() => {
        capture.release();
        memory.dispose();
      });
    try {
      const handle = capture.end();
      this.#host.mark();
      const graph = new CudaGraph(
        context,
        () => this.stream.handle,
        handle,
        () => {
          this.#refuseWhileRecording('dispose() of a graph');
          this.#graphs.delete(graph);
          release();
        },
      );
      if (problem) graph.dispose();
      else this.#graphs.add(graph);
      if (!problem) return graph;
    } catch (error) {
      if (!this.shared.lost) release();
      problem ??= { error };
    }
    throw problem.error;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop(DisposedError.whilePending(this.info.id));
    try {
      for (const { timeline } of this.#streams) await timeline.drain();
      for (const graph of [...this.#graphs]) graph.dispose();
      this.#host.destroy();
      this.memory.destroy();
      for (const stream of this.#streams) stream.destroy();
    } catch (error) {
      // A lost device has nothing left to give back.
      if (!(error instanceof DeviceLostError)) throw error;
    } finally {
      this.shared.release(this.#onLost);
    }
  }

  /** Debug mode: a result, unless the device has found something bad on the way to it. */
  async checked<T>(result: Promise<T>, stream: CudaStream): Promise<T> {
    if (this.#debug === undefined) return result;
    result.catch(() => {});
    const { checks, buffer } = this.#debug;
    const found = checks.failure(await stream.transfers.read(buffer.address, reportBytes));
    if (found) {
      checks.clear();
      this.#failure ??= found;
    }
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
    return result;
  }

  readonly #onLost = (error: DeviceLostError): void => this.#stop(error);

  #stop(error: Error): void {
    for (const { timeline } of this.#streams) timeline.stop(error);
  }

  #newStream(name: string): CudaStream {
    const stream = new CudaStream(this, name);
    this.#streams.add(stream);
    this.#order.add(stream.timeline);
    return stream;
  }

  /**
   * Debug mode: checks on the stream of the moment. Reports are read before anything else is checked, so
   * that one place serves all streams.
   */
  #newChecks(buffer: CudaBuffer): DebugChecks {
    const run = (check: CheckNumbersArgs) =>
      this.#kernels.run(checkNumbers, check, this.stream.state);
    return new DebugChecks(run, buffer, () => {
      const { handle, timeline } = this.stream;
      this.shared.context.fill(buffer.address, 0, reportBytes / 4, handle);
      if (this.#capture === undefined) timeline.waitNow(timeline.mark());
    });
  }

  /** Debug mode: whether an operation may run. What it must not run for is reported later. */
  #passes(conditions: readonly NumberCheck[]): boolean {
    if (this.#debug === undefined) return true;
    const { checks, buffer } = this.#debug;
    checks.enqueue(conditions, this.#capture !== undefined);
    if (this.#capture) return true;
    const failure = checks.failure(this.stream.transfers.readNow(buffer.address, reportBytes));
    if (failure === undefined) return true;
    this.#failure ??= failure;
    checks.clear();
    return false;
  }

  #refuseWhileRecording(what: string): void {
    if (this.#capture === undefined) return;
    throw new InvalidArgumentError(
      'enqueue',
      'a function that only enqueues',
      `one that calls ${what}`,
      'Do it before or after device.capture().',
    );
  }
}
