import { UnsupportedOperationError } from '@flash-mla/core';
import type {
  Backend,
  BackendEvent,
  BackendGraph,
  BackendMeasurements,
  BackendStream,
  DeviceInfo,
  HostMemory,
  MemoryPurpose,
  MemoryStats,
} from '../device/backend.ts';
import { isHostMemory, ordinaryMemory } from '../device/host-memory.ts';
import { QueueStream } from '../device/one-queue.ts';
import type { AnyOperation, Operation } from '../operation/operation.ts';
import { fillByWrites } from '../tensor/fill.ts';
import type { DeviceBuffer } from '../tensor/view.ts';
import { asCpuBuffer } from './commands/address.ts';
import { type Command, commandOf } from './commands/command.ts';
import type { CommandContext } from './commands/context.ts';
import { copyBytes, copyFar } from './commands/descriptors.ts';
import { CpuGraph, type Recorded } from './graph.ts';
import type { AnyCpuKernel } from './kernel.ts';
import type { HostKernels } from './kernels.ts';
import { measureCeilings } from './measure.ts';
import type { FarMemory } from './memory/far-memory.ts';
import { type CpuBuffer, Heap } from './memory/heap.ts';
import type { Executor } from './pool/executor.ts';
import { heapBase } from './pool/protocol.ts';
import { runOnFar } from './run-on-far.ts';

/** The job of a thread that copies far: see assembly/ops/copy-far.ts. */
const copyJobBytes = 64;

/** Of the 4 GiB that WebAssembly addresses: the rest is for caches and intermediate results. */
const mostNearWeightBytes = 2.5 * 2 ** 30;

/** Where weights may lie. */
export interface WeightMemory {
  /** Beside the device's memory. */
  readonly far?: FarMemory | undefined;
  /** So many bytes of them in the device's memory first. */
  readonly nearWeightBytes?: number | undefined;
}

/** WebAssembly kernels on worker threads; see docs/kernels/cpu-dense-decode.md. */
export class CpuBackend implements Backend {
  readonly info: DeviceInfo;
  readonly measurements: BackendMeasurements = {
    ceilings: () =>
      measureCeilings(this, this.#context.kernels, (command, uses) => this.#enqueue(command, uses)),
  };
  readonly reachesHostMemory = false;
  readonly defaultStream: BackendStream = new QueueStream(this);
  stream = this.defaultStream;
  readonly #executor: Executor;
  readonly #heap: Heap;
  readonly #context: CommandContext;
  readonly #kernels: ReadonlyMap<AnyOperation, AnyCpuKernel>;
  /** Scratch and partial results, shared by all commands: they run one after the other. */
  #workspace: CpuBuffer | undefined;
  #recording: { commands: Recorded[]; owned: CpuBuffer[] } | undefined;
  /** Copies to the host that were enqueued, and those of them that have arrived. */
  #copies = { issued: 0, arrived: 0 };
  /** What went wrong on the way to such a copy: it belongs to whoever waits next. */
  #failure: unknown;
  readonly #weights: WeightMemory;
  readonly #nearWeights = new Set<CpuBuffer>();
  #nearWeightBytes = 0;
  #allocated = 0;
  #peak = 0;
  #closed = false;

  constructor(
    info: DeviceInfo,
    executor: Executor,
    host: HostKernels,
    kernels: readonly AnyCpuKernel[],
    debug: boolean,
    weights: WeightMemory = {},
  ) {
    this.#weights = weights;
    this.#kernels = new Map(kernels.map((kernel) => [kernel.operation, kernel]));
    this.info = info;
    this.#executor = executor;
    this.#heap = new Heap(executor, heapBase);
    this.#context = { kernels: host, workers: executor.workers, debug };
  }

  /** To be called whenever the executor has got on. */
  collect(): void {
    this.#heap.collect();
    this.#weights.far?.collect();
  }

  createStream(): BackendStream {
    return new QueueStream(this);
  }

  /** A point in the one queue. */
  record(): BackendEvent {
    const executor = this.#executor;
    const ticket = executor.issued;
    const copies = this.#copies.issued;
    const isDone = () => {
      executor.assertAlive();
      return executor.retired >= ticket && this.#copies.arrived >= copies;
    };
    return { isDone, synchronize: async () => (isDone() ? undefined : this.synchronize()) };
  }

  allocate(byteLength: number, purpose?: MemoryPurpose): DeviceBuffer {
    const buffer =
      purpose === 'weights' ? this.#allocateWeights(byteLength) : this.#heap.allocate(byteLength);
    this.#allocated += byteLength;
    this.#peak = Math.max(this.#peak, this.#allocated);
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    if (isHostMemory(buffer)) return;
    this.#allocated -= buffer.byteLength;
    const own = asCpuBuffer(buffer);
    if (this.#nearWeights.delete(own)) this.#nearWeightBytes -= own.byteLength;
    if (this.#closed) return;
    if (own.base === 0) this.#heap.release(own);
    else this.#weights.far?.release(own);
  }

  write(buffer: DeviceBuffer, byteOffset: number, bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    const target = asCpuBuffer(buffer);
    const recording = this.#recording;
    if (!recording && this.#writeNow(target, byteOffset, bytes)) return;
    // The bytes wait in memory of their own until the work before them is done.
    const staging = asCpuBuffer(this.allocate(bytes.byteLength));
    this.#executor.write(staging.address, bytes, 0);
    this.copy(staging, 0, target, byteOffset, bytes.byteLength);
    if (recording) recording.owned.push(staging);
    else this.release(staging);
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
    const [from, to] = [asCpuBuffer(source), asCpuBuffer(target)];
    const places = {
      target: to.base + to.address + targetOffset,
      source: from.base + from.address + sourceOffset,
      bytes: byteLength,
    };
    const isNear = from.base === 0 && to.base === 0;
    const workspaceBytes = copyJobBytes * this.#executor.workers;
    const command = isNear
      ? commandOf(copyBytes, places)
      : commandOf(copyFar, places, { workspaceBytes });
    this.#enqueue(command, [from, to]);
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
    const source = bytes.subarray(sourceOffset, sourceOffset + byteLength);
    const enqueue = () => this.write(target, targetOffset, source);
    // Each replay reads the bytes as they are then.
    if (this.#recording) this.#recording.commands.push({ enqueue });
    else enqueue();
  }

  copyToHost(
    source: DeviceBuffer,
    sourceOffset: number,
    { bytes }: HostMemory,
    targetOffset: number,
    byteLength: number,
  ): void {
    const enqueue = () => {
      this.#copies.issued++;
      const arrive = (copied?: Uint8Array) => {
        if (copied) bytes.set(copied, targetOffset);
        this.#copies.arrived++;
      };
      this.read(source, sourceOffset, byteLength).then(arrive, (error: unknown) => {
        this.#failure ??= error;
        arrive();
      });
    };
    if (this.#recording) this.#recording.commands.push({ enqueue });
    else enqueue();
  }

  async read(buffer: DeviceBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    const source = asCpuBuffer(buffer);
    if (source.base !== 0) return this.#readFar(source, byteOffset, byteLength);
    const bytes = this.#executor.read(source.address + byteOffset, byteLength);
    source.lastUse = this.#executor.issued;
    return bytes;
  }

  async synchronize(): Promise<void> {
    const { issued } = this.#copies;
    await this.#executor.synchronize();
    // They have been read by then, and arrive in the turns that follow at once.
    while (this.#copies.arrived < issued) await Promise.resolve();
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  memoryStats(): MemoryStats {
    return {
      allocated: this.#allocated,
      reserved: this.#executor.memoryBytes + (this.#weights.far?.bytes ?? 0),
      peak: this.#peak,
    };
  }

  run<Args extends object>(operation: Operation<Args, never, unknown>, args: Args): void {
    const kernel = this.#kernelOf(operation);
    if ((this.#weights.far?.bytes ?? 0) > 0) {
      runOnFar(operation, kernel, args, {
        context: this.#context,
        backend: this,
        run: (near) => this.#run(operation, kernel, near),
        keep: this.#recording?.owned,
      });
    } else this.#run(operation, kernel, args);
  }

  #run<Args extends object>(
    operation: Operation<Args, never, unknown>,
    kernel: AnyCpuKernel,
    args: Args,
  ): void {
    const command = kernel.command(this.#context, args);
    const uses: CpuBuffer[] = [];
    for (const view of operation.reads(args)) if (view) uses.push(asCpuBuffer(view.buffer));
    for (const view of operation.writes(args)) if (view) uses.push(asCpuBuffer(view.buffer));
    this.#enqueue(command, uses);
  }

  traits<Shape, Traits>(operation: Operation<never, Shape, Traits>, shape: Shape): Traits {
    const kernel = this.#kernelOf(operation);
    return kernel.traits?.(shape, this.#context) as Traits;
  }

  capture(enqueue: () => void): BackendGraph {
    const recording = { commands: [], owned: [] };
    this.#recording = recording;
    try {
      enqueue();
    } finally {
      this.#recording = undefined;
    }
    return new CpuGraph(
      recording.commands,
      recording.owned,
      (command, uses) => this.#enqueue(command, uses),
      (buffer) => this.release(buffer),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#executor.close();
    this.#weights.far?.close();
  }

  /** In the device's memory, of which caches and intermediate results keep their share, or beside it. */
  #allocateWeights(byteLength: number): CpuBuffer {
    const { far, nearWeightBytes = mostNearWeightBytes } = this.#weights;
    if (far && this.#nearWeightBytes + byteLength > nearWeightBytes) {
      const buffer = far.allocate(byteLength);
      if (buffer) return buffer;
    }
    const buffer = this.#heap.allocate(byteLength);
    this.#nearWeights.add(buffer);
    this.#nearWeightBytes += byteLength;
    return buffer;
  }

  /** False if work is under way that uses the bytes. */
  #writeNow(target: CpuBuffer, byteOffset: number, bytes: Uint8Array): boolean {
    const { address, base, lastUse } = target;
    if (base === 0) return this.#executor.write(address + byteOffset, bytes, lastUse);
    this.#executor.assertAlive();
    if (lastUse > this.#executor.retired) return false;
    this.#weights.far?.write(target, byteOffset, bytes);
    return true;
  }

  /** By way of the device's memory: only commands are in order with what is enqueued later. */
  async #readFar(source: CpuBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    const near = this.#heap.allocate(byteLength);
    this.copy(source, byteOffset, near, 0, byteLength);
    const bytes = this.read(near, 0, byteLength);
    this.#heap.release(near);
    return bytes;
  }

  #kernelOf(operation: AnyOperation): AnyCpuKernel {
    const kernel = this.#kernels.get(operation);
    if (kernel) return kernel;
    throw new UnsupportedOperationError(operation.name, this.info.id);
  }

  #enqueue(command: Command, uses: readonly CpuBuffer[]): void {
    if (this.#recording) {
      this.#recording.commands.push({ command, uses });
      return;
    }
    const workspace = this.#ensureWorkspace(command.workspaceBytes);
    const ticket = this.#executor.run(command, workspace);
    for (const buffer of uses) buffer.lastUse = ticket;
  }

  #ensureWorkspace(byteLength: number): number {
    const current = this.#workspace;
    if (current && current.byteLength >= byteLength) return current.address;
    if (byteLength === 0) return 0;
    if (current) this.#heap.release(current);
    this.#workspace = undefined;
    this.#workspace = this.#heap.allocate(byteLength);
    return this.#workspace.address;
  }
}
