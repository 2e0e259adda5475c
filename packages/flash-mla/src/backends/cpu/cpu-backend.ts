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
  TensorView,
} from '../backend.ts';
import { asCpuBuffer } from './commands/address.ts';
import { appendCommand } from './commands/append.ts';
import { denseAttentionCommand } from './commands/dense-attention.ts';
import { denseDecodeCommand } from './commands/dense-decode.ts';
import type { Command } from './commands/operations.ts';
import { dequantizeCommand, quantizeCommand } from './commands/quantize.ts';
import { scheduleCommand } from './commands/schedule.ts';
import { sparseDecodeCommand } from './commands/sparse-decode.ts';
import { sparsePrefillCommand } from './commands/sparse-prefill.ts';
import type { CommandContext } from './commands/workspace.ts';
import { CpuGraph, type RecordedCommand } from './graph.ts';
import type { HostKernels } from './kernels.ts';
import { measureCeilings } from './measure.ts';
import { type CpuBuffer, Heap } from './memory/heap.ts';
import { planSchedule } from './plan.ts';
import type { Executor } from './pool/executor.ts';
import { heapBase } from './pool/protocol.ts';

type Views = readonly (TensorView | undefined)[];

/** WebAssembly kernels on worker threads; see docs/kernels/cpu-dense-decode.md. */
export class CpuBackend implements Backend {
  readonly info: DeviceInfo;
  readonly measurements: BackendMeasurements = {
    ceilings: () =>
      measureCeilings(this, this.#context.kernels, (command, uses) => this.#enqueue(command, uses)),
  };
  readonly #executor: Executor;
  readonly #heap: Heap;
  readonly #context: CommandContext;
  /** Scratch and partial results, shared by all commands: they run one after the other. */
  #workspace: CpuBuffer | undefined;
  #recording: { commands: RecordedCommand[]; owned: CpuBuffer[] } | undefined;
  #allocated = 0;
  #peak = 0;
  #closed = false;

  constructor(info: DeviceInfo, executor: Executor, kernels: HostKernels, debug: boolean) {
    this.info = info;
    this.#executor = executor;
    this.#heap = new Heap(executor, heapBase);
    this.#context = { kernels, workers: executor.workers, debug };
  }

  /** To be called whenever the executor has got on. */
  collect(): void {
    this.#heap.collect();
  }

  allocate(byteLength: number): BackendBuffer {
    const buffer = this.#heap.allocate(byteLength);
    this.#allocated += byteLength;
    this.#peak = Math.max(this.#peak, this.#allocated);
    return buffer;
  }

  release(buffer: BackendBuffer): void {
    this.#allocated -= buffer.byteLength;
    if (!this.#closed) this.#heap.release(asCpuBuffer(buffer));
  }

  write(buffer: BackendBuffer, byteOffset: number, bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    const target = asCpuBuffer(buffer);
    const address = target.address + byteOffset;
    const recording = this.#recording;
    if (!recording && this.#executor.write(address, bytes, target.lastUse)) return;
    // The bytes wait in memory of their own until the work before them is done.
    const staging = this.#heap.allocate(bytes.byteLength);
    this.#executor.write(staging.address, bytes, 0);
    this.#enqueue(
      {
        operation: 'copyBytes',
        workspaceBytes: 0,
        arguments: [address, staging.address, bytes.byteLength],
      },
      [staging, target],
    );
    if (recording) recording.owned.push(staging);
    else this.#heap.release(staging);
  }

  async read(buffer: BackendBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    const source = asCpuBuffer(buffer);
    const bytes = this.#executor.read(source.address + byteOffset, byteLength);
    source.lastUse = this.#executor.issued;
    return bytes;
  }

  synchronize(): Promise<void> {
    return this.#executor.synchronize();
  }

  memoryStats(): MemoryStats {
    return {
      allocated: this.#allocated,
      reserved: this.#executor.memoryBytes,
      peak: this.#peak,
    };
  }

  planSchedule(problem: ScheduleProblem): SchedulePlan {
    const { kernels, workers } = this.#context;
    return planSchedule(problem, workers, kernels.blockTokens());
  }

  computeSchedule(args: ComputeScheduleArgs): void {
    const { seqlens, topkLength, extraTopkLength, metadata, numSplits } = args;
    this.#enqueueOn(scheduleCommand(args), [
      seqlens,
      topkLength,
      extraTopkLength,
      metadata,
      numSplits,
    ]);
  }

  denseDecode(args: DenseDecodeArgs): void {
    const { schedule } = args;
    this.#enqueueOn(denseDecodeCommand(this.#context, args), [
      args.q,
      args.kCache,
      args.blockTable,
      args.seqlens,
      args.descaleQ,
      args.descaleK,
      schedule.metadata,
      schedule.numSplits,
      args.out,
      args.lse,
    ]);
  }

  sparseDecode(args: SparseDecodeArgs): void {
    const { main, extra, schedule } = args;
    this.#enqueueOn(sparseDecodeCommand(this.#context, args), [
      args.q,
      main.kCache,
      main.indices,
      main.topkLength,
      extra?.kCache,
      extra?.indices,
      extra?.topkLength,
      args.attnSink,
      schedule.metadata,
      schedule.numSplits,
      args.out,
      args.lse,
    ]);
  }

  sparsePrefill(args: SparsePrefillArgs): void {
    this.#enqueueOn(sparsePrefillCommand(this.#context, args), [
      args.q,
      args.kv,
      args.indices,
      args.topkLength,
      args.attnSink,
      args.out,
      args.maxLogits,
      args.lse,
    ]);
  }

  denseAttention(args: DenseAttentionArgs): void {
    this.#enqueueOn(denseAttentionCommand(this.#context, args), [
      args.q,
      args.k,
      args.v,
      args.cuSeqlensQ,
      args.cuSeqlensK,
      args.seqlensK,
      args.blockTable,
      args.out,
      args.lse,
    ]);
  }

  quantizeKvCache(args: QuantizeArgs): void {
    this.#enqueueOn(quantizeCommand(args), [args.source, args.target]);
  }

  dequantizeKvCache(args: DequantizeArgs): void {
    this.#enqueueOn(dequantizeCommand(this.#context, args), [args.source, args.target]);
  }

  appendKvCache(args: AppendArgs): void {
    this.#enqueueOn(appendCommand(args), [args.rows, args.slots, args.kCache]);
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
      ({ command, uses }) => this.#enqueue(command, uses),
      (buffer) => {
        if (!this.#closed) this.#heap.release(buffer);
      },
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#executor.close();
  }

  #enqueueOn(command: Command, views: Views): void {
    const uses = views.filter((view) => view !== undefined).map((view) => asCpuBuffer(view.buffer));
    this.#enqueue(command, uses);
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
