import {
  type Counters,
  encodeTensorMap,
  SimMemory,
  simulateInSteps,
  type TensorMapDescription,
} from '@flash-mla/ptx';
import type {
  Address,
  CudaContext,
  DeviceFacts,
  Grid,
  Handle,
  KernelSource,
  LaunchShape,
  LoadedKernel,
  PinnedMemory,
  PreparedRun,
} from '../cuda/driver/driver.ts';
import { CudaDriverError } from '../cuda/driver/driver-error.ts';
import { asDriverError } from './errors.ts';
import { type Work, WorkQueue } from './queue.ts';

/** How long a query simulates before it lets the event loop go on. A CTA is never interrupted. */
const sliceMs = 10;
/** Host addresses are only names here; they lie apart from the device's. */
const hostBase = 2 ** 40;

/** A graph that is being recorded: the streams and events in it, and what it does. */
interface SimCapture {
  readonly streams: Set<Handle>;
  readonly events: Set<Handle>;
  readonly work: Work[];
}

/** A simulated device's context. All streams share one queue: an order that streams allow. */
export class SimContext implements CudaContext {
  readonly ordinal: number;
  readonly #facts: DeviceFacts;
  readonly #queue = new WorkQueue();
  readonly #events = new Map<Handle, number | undefined>();
  readonly #pinned = new Map<Address, Uint8Array<ArrayBuffer>>();
  readonly #graphs = new Map<Handle, readonly Work[]>();
  #memory: SimMemory;
  #recording: SimCapture | undefined;
  #handles = 0;

  readonly #count: (kernel: string, counters: Counters) => void;

  /** `count` learns what each launch did. */
  constructor(
    ordinal: number,
    facts: DeviceFacts,
    count: (kernel: string, counters: Counters) => void,
  ) {
    this.ordinal = ordinal;
    this.#count = count;
    this.#facts = facts;
    this.#memory = this.#newMemory();
  }

  close(): void {
    this.reset();
  }

  reset(): void {
    this.#queue.clear();
    this.#events.clear();
    this.#pinned.clear();
    this.#graphs.clear();
    this.#recording = undefined;
    this.#memory = this.#newMemory();
  }

  memoryInfo(): { free: number; total: number } {
    const { used, capacity } = this.#memory.usage;
    return { free: capacity - used, total: capacity };
  }

  allocate(bytes: number): Address {
    // What was freed comes back with the work before it.
    if (this.memoryInfo().free < bytes) this.#queue.run(Number.POSITIVE_INFINITY);
    try {
      return Number(this.#memory.alloc(bytes));
    } catch (error) {
      throw asDriverError('cuMemAlloc', error);
    }
  }

  /** As the driver does, once the work enqueued so far is done. */
  free(address: Address): void {
    this.#queue.push(() => void this.#memory.free(address));
  }

  allocatePinned(size: number): PinnedMemory {
    const address = hostBase + this.#newHandle() * 2 ** 32;
    const bytes = new Uint8Array(size);
    this.#pinned.set(address, bytes);
    return { address, bytes };
  }

  freePinned(memory: PinnedMemory): void {
    this.#pinned.delete(memory.address);
  }

  createStream(): Handle {
    return this.#newHandle();
  }

  destroyStream(): void {}

  createEvent(): Handle {
    const event = this.#newHandle();
    this.#events.set(event, undefined);
    return event;
  }

  destroyEvent(event: Handle): void {
    this.#events.delete(event);
  }

  recordEvent(event: Handle, stream: Handle): void {
    if (this.#recording?.streams.has(stream)) {
      this.#recording.events.add(event);
      return;
    }
    this.#events.set(event, undefined);
    this.#enqueue('cuEventRecord', stream, () => void this.#events.set(event, performance.now()));
  }

  /** All streams share one queue, in which an event comes before those that wait for it. */
  waitEvent(stream: Handle, event: Handle): void {
    if (this.#recording?.events.has(event)) this.#recording.streams.add(stream);
  }

  queryEvent(event: Handle): boolean {
    this.#queue.run(sliceMs);
    return this.#events.get(event) !== undefined;
  }

  synchronizeEvent(): void {
    this.#queue.run(Number.POSITIVE_INFINITY);
  }

  /** The host's time: a simulation says nothing about a GPU's. */
  elapsedMs(begin: Handle, end: Handle): number {
    return (this.#events.get(end) ?? 0) - (this.#events.get(begin) ?? 0);
  }

  copyToDevice(target: Address, source: Address, bytes: number, stream: Handle): void {
    const from = this.#hostBytes(source, bytes);
    this.#enqueue('cuMemcpyHtoDAsync', stream, () => void this.#memory.write(target, from));
  }

  copyToHost(target: Address, source: Address, bytes: number, stream: Handle): void {
    const to = this.#hostBytes(target, bytes);
    this.#enqueue('cuMemcpyDtoHAsync', stream, () => void to.set(this.#memory.read(source, bytes)));
  }

  copyOnDevice(target: Address, source: Address, bytes: number, stream: Handle): void {
    this.#enqueue('cuMemcpyDtoDAsync', stream, () => void this.#memory.copy(target, source, bytes));
  }

  fill(target: Address, word: number, words: number, stream: Handle): void {
    const data = new Uint32Array(words).fill(word);
    this.#enqueue('cuMemsetD32Async', stream, () => void this.#memory.write(target, data));
  }

  loadKernel({ kernel, target }: KernelSource): LoadedKernel {
    kernel.program(target);
    return { function: this.#newHandle(), registers: 0, localBytes: 0, cached: false };
  }

  unloadKernel(): void {}

  prepareRun(shape: LaunchShape): PreparedRun {
    const { source, cluster = [1, 1, 1], sharedBytes, parameterBytes } = shape;
    const { kernel, target } = source;
    const parameters = new DataView(new ArrayBuffer(parameterBytes));
    const run = (grid: Grid, stream: Handle): void => {
      const params = new Uint8Array(parameters.buffer.slice(0));
      this.#enqueue('cuLaunchKernelEx', stream, () => {
        const memory = this.#memory;
        const launch = { grid, cluster, params, memory, target, sharedBytes };
        const steps = simulateInSteps(kernel, launch);
        return this.#counted(source.name, steps);
      });
    };
    return { parameters, run };
  }

  encodeTensorMap(map: TensorMapDescription): Uint8Array<ArrayBuffer> {
    return encodeTensorMap(map);
  }

  beginCapture(stream: Handle): void {
    this.#recording = { streams: new Set([stream]), events: new Set(), work: [] };
  }

  endCapture(): Handle {
    const graph = this.#newHandle();
    this.#graphs.set(graph, this.#recording?.work ?? []);
    this.#recording = undefined;
    return graph;
  }

  launchGraph(graph: Handle): void {
    for (const work of this.#graphs.get(graph) ?? []) this.#queue.push(work);
  }

  destroyGraph(graph: Handle): void {
    this.#graphs.delete(graph);
  }

  #enqueue(call: string, stream: Handle, work: Work): void {
    const translated: Work = () => {
      try {
        const steps = work();
        return steps && translate(call, steps);
      } catch (error) {
        throw asDriverError(call, error);
      }
    };
    if (this.#recording?.streams.has(stream)) this.#recording.work.push(translated);
    else this.#queue.push(translated);
  }

  *#counted(kernel: string, steps: Generator<void, Counters>): Generator<void, void> {
    this.#count(kernel, yield* steps);
  }

  #hostBytes(address: Address, bytes: number): Uint8Array {
    const memory = this.#pinned.get(address);
    if (memory && bytes <= memory.length) return memory.subarray(0, bytes);
    const problem = `${bytes} bytes at host address ${address} are not pinned memory`;
    throw new CudaDriverError('cuMemcpyAsync', 1, 'CUDA_ERROR_INVALID_VALUE', problem);
  }

  #newMemory(): SimMemory {
    return new SimMemory({ capacity: this.#facts.memoryBytes });
  }

  #newHandle(): Handle {
    return ++this.#handles;
  }
}

function* translate(call: string, steps: Generator<void, unknown>): Generator<void, unknown> {
  try {
    return yield* steps;
  } catch (error) {
    throw asDriverError(call, error);
  }
}
