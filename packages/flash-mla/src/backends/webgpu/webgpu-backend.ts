import { DeviceLostError, DisposedError, FlashMlaError } from '../../errors.ts';
import type {
  AppendArgs,
  Backend,
  BackendBuffer,
  BackendGraph,
  BackendMeasurements,
  ComputeScheduleArgs,
  DenseAttentionArgs,
  DenseDecodeArgs,
  DequantizeArgs,
  DeviceInfo,
  MemoryStats,
  QuantizeArgs,
  SchedulePlan,
  ScheduleProblem,
  SparseDecodeArgs,
  SparsePrefillArgs,
} from '../backend.ts';
import { type Check, decodeChecks, denseAttentionChecks } from '../debug/checks.ts';
import { DebugChecks } from './debug-checks.ts';
import { appendKvCache } from './launch/append.ts';
import { denseDecode, sparseDecode } from './launch/decode.ts';
import { denseAttention } from './launch/dense-attention.ts';
import { sparsePrefill } from './launch/prefill.ts';
import { dequantizeKvCache, quantizeKvCache } from './launch/quantize.ts';
import { computeSchedule, planSchedule } from './launch/schedule.ts';
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
  readonly #runtime: Runtime;
  readonly #readback: Readback;
  readonly #debug: DebugChecks | undefined;

  constructor(device: GPUDevice, info: DeviceInfo, capabilities: Capabilities, debug: boolean) {
    this.info = info;
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

  allocate(byteLength: number): BackendBuffer {
    this.#checkOpen();
    return this.#runtime.memory.allocate(byteLength);
  }

  release(buffer: BackendBuffer): void {
    this.#runtime.release(buffer as WebGpuBuffer);
  }

  write(buffer: BackendBuffer, byteOffset: number, bytes: Uint8Array): void {
    this.#checkOpen();
    if (bytes.byteLength > 0) upload(this.#runtime, buffer as WebGpuBuffer, byteOffset, bytes);
  }

  async read(buffer: BackendBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
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
    await queue.check();
    await this.#debug?.report();
  }

  memoryStats(): MemoryStats {
    return this.#runtime.memory.stats();
  }

  planSchedule(problem: ScheduleProblem): SchedulePlan {
    return planSchedule(problem, this.#runtime.capabilities);
  }

  computeSchedule(args: ComputeScheduleArgs): void {
    this.#checkOpen();
    computeSchedule(this.#runtime, args);
  }

  denseDecode(args: DenseDecodeArgs): void {
    this.#checkOpen();
    this.#checkNumbers(() => decodeChecks(args));
    denseDecode(this.#runtime, args);
  }

  sparseDecode(args: SparseDecodeArgs): void {
    this.#checkOpen();
    this.#checkNumbers(() => decodeChecks(args));
    sparseDecode(this.#runtime, args);
  }

  sparsePrefill(args: SparsePrefillArgs): void {
    this.#checkOpen();
    sparsePrefill(this.#runtime, args);
  }

  denseAttention(args: DenseAttentionArgs): void {
    this.#checkOpen();
    this.#checkNumbers(() => denseAttentionChecks(args));
    denseAttention(this.#runtime, args);
  }

  quantizeKvCache(args: QuantizeArgs): void {
    this.#checkOpen();
    quantizeKvCache(this.#runtime, args);
  }

  dequantizeKvCache(args: DequantizeArgs): void {
    this.#checkOpen();
    dequantizeKvCache(this.#runtime, args);
  }

  appendKvCache(args: AppendArgs): void {
    this.#checkOpen();
    appendKvCache(this.#runtime, args);
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

  #checkNumbers(checks: () => readonly Check[]): void {
    this.#debug?.enqueue(checks());
  }

  #checkOpen(): void {
    const error = this.#runtime.queue.closed;
    if (error) throw error;
  }
}
