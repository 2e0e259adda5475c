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
  MemoryStats,
} from '../device/backend.ts';
import type { NumberCheck } from '../operation/number-check.ts';
import type { Operation } from '../operation/operation.ts';
import type { DeviceBuffer } from '../tensor/view.ts';
import { checkNumbers } from './debug/check-numbers.ts';
import { DebugChecks, reportBytes } from './debug/debug-checks.ts';
import type { SharedContext } from './device/shared-context.ts';
import type { Handle, PinnedMemory } from './driver/driver.ts';
import { CudaGraph } from './graph.ts';
import type { AnyCudaKernel } from './kernel.ts';
import type { KernelStore } from './launch/kernel-store.ts';
import { KernelTable } from './launch/kernel-table.ts';
import { asCudaBuffer, Launcher } from './launch/launcher.ts';
import { StreamState } from './launch/stream-state.ts';
import type { DeviceLimits } from './limits.ts';
import { measurementsOf } from './measure/measurements.ts';
import { type CudaBuffer, DeviceMemory } from './memory/device-memory.ts';
import { Transfers } from './memory/transfers.ts';
import { Timeline } from './stream/timeline.ts';

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

/** One GPU: a context, one stream, everything in order. Also what runs on the simulated driver. */
export class CudaBackend implements Backend {
  readonly info: DeviceInfo;
  readonly measurements: BackendMeasurements;
  readonly #shared: SharedContext;
  readonly #stream: Handle;
  readonly #timeline: Timeline;
  readonly #memory: DeviceMemory;
  readonly #transfers: Transfers;
  readonly #kernels: KernelTable;
  readonly #state: StreamState;
  readonly #debug: { readonly checks: DebugChecks; readonly buffer: CudaBuffer } | undefined;
  readonly #graphs = new Set<CudaGraph>();
  /** What the graph being recorded copies to the device; undefined while none is. */
  #recording: PinnedMemory[] | undefined;
  /** What debug mode found, until a read or synchronisation has reported it. */
  #failure: FlashMlaError | undefined;
  #closed = false;

  constructor(parts: CudaBackendParts) {
    const { shared, limits } = parts;
    const { context, driver } = shared;
    this.info = parts.info;
    this.#shared = shared;
    shared.hold(this.#onLost);
    try {
      this.#stream = context.createStream();
      this.#timeline = new Timeline(context, this.#stream);
      this.#memory = new DeviceMemory(shared, parts.exactMemory);
      this.#transfers = new Transfers(shared, this.#stream, this.#timeline, this.#memory);
      this.#state = new StreamState(this.#stream, context, this.#memory);
      const launcher = new Launcher({
        limits,
        context,
        kernels: parts.store,
        // Graphs record programmatic launches since CUDA 12.3.
        canOverlap: limits.sm >= 90 && driver.version >= 12_030,
      });
      this.#kernels = new KernelTable(parts.kernels, launcher);
      this.measurements = measurementsOf(context, this.#state, this.#timeline, launcher);
      if (parts.debug) {
        const buffer = this.#memory.allocate(reportBytes);
        const clear = () => context.fill(buffer.address, 0, reportBytes / 4, this.#stream);
        const checks = new DebugChecks(
          (check) => this.#kernels.run(checkNumbers, check, this.#state),
          buffer,
          clear,
        );
        this.#debug = { checks, buffer };
      }
    } catch (error) {
      shared.release(this.#onLost);
      throw error;
    }
  }

  allocate(byteLength: number): DeviceBuffer {
    this.#shared.checkAlive();
    return this.#memory.allocate(byteLength);
  }

  release(buffer: DeviceBuffer): void {
    if (this.#shared.lost || this.#closed) return;
    this.#memory.release(asCudaBuffer(buffer));
  }

  write(buffer: DeviceBuffer, byteOffset: number, bytes: Uint8Array): void {
    const target = asCudaBuffer(buffer).address + byteOffset;
    if (this.#recording) this.#transfers.record(target, bytes, this.#recording);
    else this.#transfers.write(target, bytes);
  }

  async read(buffer: DeviceBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    this.#refuseWhileRecording('read()');
    const bytes = this.#transfers.read(asCudaBuffer(buffer).address + byteOffset, byteLength);
    return this.#debug ? this.#afterChecks(bytes) : bytes;
  }

  async synchronize(): Promise<void> {
    this.#refuseWhileRecording('synchronize()');
    const done = this.#timeline.wait(this.#timeline.mark());
    return this.#debug ? this.#afterChecks(done) : done;
  }

  memoryStats(): MemoryStats {
    return this.#memory.stats();
  }

  run<Args extends object>(operation: Operation<Args, never, unknown>, args: Args): void {
    if (this.#debug !== undefined && !this.#passes(operation.checks?.(args) ?? [])) return;
    try {
      this.#kernels.run(operation, args, this.#state);
    } finally {
      this.#state.endCall();
    }
  }

  traits<Shape, Traits>(operation: Operation<never, Shape, Traits>, shape: Shape): Traits {
    return this.#kernels.traits(operation, shape) as Traits;
  }

  capture(enqueue: () => void): BackendGraph {
    this.#refuseWhileRecording('capture()');
    const { context } = this.#shared;
    const pinned: PinnedMemory[] = [];
    context.beginCapture(this.#stream);
    this.#recording = pinned;
    this.#memory.beginRecording();
    let problem: { readonly error: unknown } | undefined;
    try {
      enqueue();
    } catch (error) {
      problem = { error };
    }
    this.#recording = undefined;
    const memory = this.#memory.endRecording();
    const release = () => {
      this.#transfers.release(pinned);
      memory.dispose();
    };
    try {
      // Also after a failure: only this ends the stream's recording.
      const handle = context.endCapture(this.#stream);
      const graph = new CudaGraph(context, this.#stream, handle, () => {
        this.#refuseWhileRecording('dispose() of a graph');
        this.#graphs.delete(graph);
        release();
      });
      if (problem) graph.dispose();
      else this.#graphs.add(graph);
      if (!problem) return graph;
    } catch (error) {
      if (!this.#shared.lost) release();
      problem ??= { error };
    }
    throw problem.error;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { context } = this.#shared;
    this.#timeline.stop(DisposedError.whilePending(this.info.id));
    try {
      await this.#timeline.drain();
      for (const graph of [...this.#graphs]) graph.dispose();
      this.#transfers.destroy();
      this.#timeline.destroy();
      this.#memory.destroy();
      context.destroyStream(this.#stream);
    } catch (error) {
      // A lost device has nothing left to give back.
      if (!(error instanceof DeviceLostError)) throw error;
    } finally {
      this.#shared.release(this.#onLost);
    }
  }

  readonly #onLost = (error: DeviceLostError): void => {
    this.#timeline?.stop(error);
  };

  /** Debug mode: whether an operation may run. What it must not run for is reported later. */
  #passes(conditions: readonly NumberCheck[]): boolean {
    if (this.#debug === undefined) return true;
    const { checks, buffer } = this.#debug;
    checks.enqueue(conditions, this.#recording !== undefined);
    if (this.#recording) return true;
    const failure = checks.failure(this.#transfers.readNow(buffer.address, reportBytes));
    if (failure === undefined) return true;
    this.#failure ??= failure;
    checks.clear();
    return false;
  }

  /** Debug mode: a result, unless the device has found something bad on the way to it. */
  async #afterChecks<T>(result: Promise<T>): Promise<T> {
    result.catch(() => {});
    if (this.#debug) {
      const { checks, buffer } = this.#debug;
      const found = checks.failure(await this.#transfers.read(buffer.address, reportBytes));
      if (found) {
        checks.clear();
        this.#failure ??= found;
      }
    }
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
    return result;
  }

  #refuseWhileRecording(what: string): void {
    if (this.#recording === undefined) return;
    throw new InvalidArgumentError(
      'enqueue',
      'a function that only enqueues',
      `one that calls ${what}`,
      'Do it before or after device.capture().',
    );
  }
}
