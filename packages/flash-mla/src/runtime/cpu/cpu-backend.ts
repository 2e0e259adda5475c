import { UnsupportedOperationError } from '@flash-mla/core';
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
import { asCpuBuffer } from './commands/address.ts';
import { type Command, commandOf } from './commands/command.ts';
import type { CommandContext } from './commands/context.ts';
import { copyBytes } from './commands/descriptors.ts';
import { CpuGraph, type Recorded } from './graph.ts';
import type { AnyCpuKernel } from './kernel.ts';
import type { HostKernels } from './kernels.ts';
import { measureCeilings } from './measure.ts';
import { type CpuBuffer, Heap } from './memory/heap.ts';
import type { Executor } from './pool/executor.ts';
import { heapBase } from './pool/protocol.ts';

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
  #allocated = 0;
  #peak = 0;
  #closed = false;

  constructor(
    info: DeviceInfo,
    executor: Executor,
    host: HostKernels,
    kernels: readonly AnyCpuKernel[],
    debug: boolean,
  ) {
    this.#kernels = new Map(kernels.map((kernel) => [kernel.operation, kernel]));
    this.info = info;
    this.#executor = executor;
    this.#heap = new Heap(executor, heapBase);
    this.#context = { kernels: host, workers: executor.workers, debug };
  }

  /** To be called whenever the executor has got on. */
  collect(): void {
    this.#heap.collect();
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

  allocate(byteLength: number): DeviceBuffer {
    const buffer = this.#heap.allocate(byteLength);
    this.#allocated += byteLength;
    this.#peak = Math.max(this.#peak, this.#allocated);
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    if (isHostMemory(buffer)) return;
    this.#allocated -= buffer.byteLength;
    if (!this.#closed) this.#heap.release(asCpuBuffer(buffer));
  }

  write(buffer: DeviceBuffer, byteOffset: number, bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    const target = asCpuBuffer(buffer);
    const address = target.address + byteOffset;
    const recording = this.#recording;
    if (!recording && this.#executor.write(address, bytes, target.lastUse)) return;
    // The bytes wait in memory of their own until the work before them is done.
    const staging = this.#heap.allocate(bytes.byteLength);
    this.#executor.write(staging.address, bytes, 0);
    const places = { target: address, source: staging.address, bytes: bytes.byteLength };
    this.#enqueue(commandOf(copyBytes, places), [staging, target]);
    if (recording) recording.owned.push(staging);
    else this.#heap.release(staging);
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
      target: to.address + targetOffset,
      source: from.address + sourceOffset,
      bytes: byteLength,
    };
    this.#enqueue(commandOf(copyBytes, places), [from, to]);
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
      reserved: this.#executor.memoryBytes,
      peak: this.#peak,
    };
  }

  run<Args extends object>(operation: Operation<Args, never, unknown>, args: Args): void {
    const command = this.#kernelOf(operation).command(this.#context, args);
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
      (buffer) => {
        if (!this.#closed) this.#heap.release(buffer);
      },
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#executor.close();
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
