import { encodeTensorMap, type TensorMapDescription } from '@flash-mla/ptx';
import type {
  CudaContext,
  CudaDriver,
  DeviceFacts,
  Handle,
  KernelSource,
  LaunchShape,
  LoadedKernel,
  LockedMemory,
  PinnedMemory,
  PreparedRun,
} from '../driver/driver.ts';
import { CudaDriverError } from '../driver/driver-error.ts';

/** A call of the context that can be made to fail. */
export type FakeCall = Exclude<keyof CudaContext, 'ordinal'> | 'run' | 'openContext';

/** What a launched kernel does, for tests that look at results. */
export type FakeKernel = (parameters: DataView, memory: FakeMemory) => void;

/** Device memory by address. */
export class FakeMemory {
  readonly blocks = new Map<number, Uint8Array<ArrayBuffer>>();
  #next = 0x7f00_0000_0000;

  allocate(bytes: number): number {
    const address = this.#next;
    this.#next += Math.ceil(bytes / 4096) * 4096 + 4096;
    this.blocks.set(address, new Uint8Array(bytes));
    return address;
  }

  at(address: number, bytes: number): Uint8Array<ArrayBuffer> {
    for (const [start, block] of this.blocks) {
      const offset = address - start;
      if (offset >= 0 && offset + bytes <= block.length) {
        return block.subarray(offset, offset + bytes);
      }
    }
    throw new Error(`fake device: ${bytes} bytes at ${address.toString(16)} are not allocated`);
  }
}

export const fakeFacts: DeviceFacts = {
  name: 'Fake GPU',
  sm: 90,
  memoryBytes: 2 ** 30,
  smCount: 132,
  maxSharedPerBlock: 232_448,
  maxSharedPerSm: 233_472,
  maxThreadsPerSm: 2048,
  registersPerSm: 65_536,
  l2Bytes: 50 * 2 ** 20,
};

/** A driver that runs nothing but keeps memory, order and a list of calls; failures are scripted. */
export class FakeDriver implements CudaDriver {
  readonly kind = 'cuda';
  readonly origin = 'fake';
  version = 13_000;
  facts: DeviceFacts = fakeFacts;
  devices = 2;
  /** Every call of any context, in order. */
  readonly calls: string[] = [];
  readonly contexts: FakeContext[] = [];
  readonly kernels = new Map<string, FakeKernel>();
  /** False: enqueued work waits for {@link advance}. */
  automatic = true;
  #failures: { call: FakeCall; code: number; name: string; times: number }[] = [];

  deviceCount(): number {
    return this.devices;
  }

  deviceFacts(): DeviceFacts {
    return this.facts;
  }

  openContext(ordinal: number): CudaContext {
    this.enter('openContext');
    const context = new FakeContext(this, ordinal);
    this.contexts.push(context);
    return context;
  }

  /** The next `times` calls of this name fail with a CUresult. */
  fail(call: FakeCall, code: number, name: string, times = 1): void {
    this.#failures.push({ call, code, name, times });
  }

  /** Lets enqueued work happen. */
  advance(): void {
    for (const context of this.contexts) context.advance();
  }

  enter(call: FakeCall): void {
    this.calls.push(call);
    const failure = this.#failures.find((entry) => entry.call === call);
    if (failure === undefined) return;
    if (--failure.times <= 0) this.#failures = this.#failures.filter((entry) => entry !== failure);
    throw new CudaDriverError(call, failure.code, failure.name, 'scripted');
  }
}

/** A graph that is being recorded: its streams, its events, what it does. */
interface FakeCapture {
  readonly origin: Handle;
  readonly streams: Set<Handle>;
  readonly events: Set<Handle>;
  readonly nodes: (() => void)[];
}

export class FakeContext implements CudaContext {
  readonly ordinal: number;
  readonly memory = new FakeMemory();
  /** Which stream was told to wait for which event, in order. */
  readonly waits: { readonly stream: Handle; readonly event: Handle }[] = [];
  readonly #driver: FakeDriver;
  readonly #host = new Map<number, Uint8Array<ArrayBuffer>>();
  readonly #done = new Set<Handle>();
  readonly #graphs = new Map<Handle, (() => void)[]>();
  #queue: (() => void)[] = [];
  #capture: FakeCapture | undefined;
  #handle = 1;
  #used = 0;

  constructor(driver: FakeDriver, ordinal: number) {
    this.#driver = driver;
    this.ordinal = ordinal;
  }

  close(): void {
    this.#driver.enter('close');
  }

  reset(): void {
    this.#driver.enter('reset');
  }

  memoryInfo() {
    this.#driver.enter('memoryInfo');
    const total = this.#driver.facts.memoryBytes;
    return { free: total - this.#used, total };
  }

  allocate(bytes: number): number {
    this.#driver.enter('allocate');
    if (this.#used + bytes > this.#driver.facts.memoryBytes) {
      throw new CudaDriverError('cuMemAlloc', 2, 'CUDA_ERROR_OUT_OF_MEMORY', 'out of memory');
    }
    this.#used += bytes;
    return this.memory.allocate(bytes);
  }

  free(address: number): void {
    this.#driver.enter('free');
    const block = this.memory.blocks.get(address);
    if (block === undefined) throw new Error(`fake device: ${address} is not an allocation`);
    this.#used -= block.length;
    this.memory.blocks.delete(address);
  }

  allocatePinned(bytes: number): PinnedMemory {
    this.#driver.enter('allocatePinned');
    const memory = new Uint8Array(bytes);
    const address = this.#handle++ * 2 ** 32;
    this.#host.set(address, memory);
    return { address, bytes: memory };
  }

  freePinned(memory: PinnedMemory): void {
    this.#driver.enter('freePinned');
    if (!this.#host.delete(memory.address)) throw new Error('fake device: not pinned memory');
  }

  lockMemory(bytes: number): LockedMemory {
    this.#driver.enter('lockMemory');
    const deviceAddress = this.memory.allocate(bytes);
    const memory = this.memory.at(deviceAddress, bytes);
    const address = this.#handle++ * 2 ** 32;
    this.#host.set(address, memory);
    return { address, deviceAddress, bytes: memory };
  }

  unlockMemory(memory: LockedMemory): void {
    this.#driver.enter('unlockMemory');
    if (!this.#host.delete(memory.address)) throw new Error('fake device: not locked memory');
    this.memory.blocks.delete(memory.deviceAddress);
  }

  #hostBytes(address: number, bytes: number): Uint8Array {
    const base = Math.floor(address / 2 ** 32) * 2 ** 32;
    const memory = this.#host.get(base);
    if (memory === undefined || address - base + bytes > memory.length) {
      throw new Error('fake device: not pinned memory');
    }
    return memory.subarray(address - base, address - base + bytes);
  }

  /** Pinned blocks in existence. */
  get pinnedBlocks(): number {
    return this.#host.size;
  }

  createStream(): Handle {
    this.#driver.enter('createStream');
    return this.#handle++;
  }

  destroyStream(): void {
    this.#driver.enter('destroyStream');
  }

  createEvent(): Handle {
    this.#driver.enter('createEvent');
    return this.#handle++;
  }

  destroyEvent(): void {
    this.#driver.enter('destroyEvent');
  }

  recordEvent(event: Handle, stream: Handle): void {
    this.#driver.enter('recordEvent');
    this.#done.delete(event);
    if (this.#capture?.streams.has(stream)) this.#capture.events.add(event);
    else this.#enqueue(stream, () => this.#done.add(event));
  }

  /** The one queue runs an event before those that wait for it. */
  waitEvent(stream: Handle, event: Handle): void {
    this.#driver.enter('waitEvent');
    this.waits.push({ stream, event });
    const capture = this.#capture;
    if (capture?.events.has(event)) capture.streams.add(stream);
    else if (capture?.streams.has(stream)) {
      throw new Error('fake device: a graph waits for an event outside of it');
    }
  }

  queryEvent(event: Handle): boolean {
    this.#driver.enter('queryEvent');
    if (this.#capture?.events.has(event)) {
      throw new Error('fake device: an event of a graph was asked for');
    }
    return this.#done.has(event);
  }

  synchronizeEvent(): void {
    this.#driver.enter('synchronizeEvent');
    this.advance();
  }

  elapsedMs(): number {
    this.#driver.enter('elapsedMs');
    return 1.5;
  }

  copyToDevice(target: number, source: number, bytes: number, stream: Handle): void {
    this.#driver.enter('copyToDevice');
    const from = this.#hostBytes(source, bytes);
    this.#enqueue(stream, () => this.memory.at(target, bytes).set(from));
  }

  copyToHost(target: number, source: number, bytes: number, stream: Handle): void {
    this.#driver.enter('copyToHost');
    const to = this.#hostBytes(target, bytes);
    this.#enqueue(stream, () => to.set(this.memory.at(source, bytes)));
  }

  copyOnDevice(target: number, source: number, bytes: number, stream: Handle): void {
    this.#driver.enter('copyOnDevice');
    this.#enqueue(stream, () => this.memory.at(target, bytes).set(this.memory.at(source, bytes)));
  }

  fill(target: number, word: number, words: number, stream: Handle): void {
    this.#driver.enter('fill');
    this.#enqueue(stream, () => {
      const bytes = this.memory.at(target, words * 4);
      new Uint32Array(bytes.buffer, bytes.byteOffset, words).fill(word);
    });
  }

  loadKernel(source: KernelSource): LoadedKernel {
    this.#driver.enter('loadKernel');
    return {
      function: this.#handle++,
      registers: source.kernel.block[0],
      localBytes: 0,
      cached: false,
    };
  }

  unloadKernel(): void {
    this.#driver.enter('unloadKernel');
  }

  prepareRun(shape: LaunchShape): PreparedRun {
    this.#driver.enter('prepareRun');
    const parameters = new DataView(new ArrayBuffer(shape.parameterBytes));
    return {
      parameters,
      run: (grid, stream) => {
        this.#driver.enter('run');
        this.#driver.calls.push(`${shape.source.name} ${grid.join('x')}`);
        const copy = new DataView(parameters.buffer.slice(0));
        this.#enqueue(stream, () =>
          this.#driver.kernels.get(shape.source.name)?.(copy, this.memory),
        );
      },
    };
  }

  encodeTensorMap(map: TensorMapDescription): Uint8Array<ArrayBuffer> {
    this.#driver.enter('encodeTensorMap');
    return encodeTensorMap(map);
  }

  beginCapture(stream: Handle): void {
    this.#driver.enter('beginCapture');
    const [streams, events] = [new Set([stream]), new Set<Handle>()];
    this.#capture = { origin: stream, streams, events, nodes: [] };
  }

  endCapture(stream: Handle): Handle {
    this.#driver.enter('endCapture');
    if (this.#capture?.origin !== stream) throw new Error('fake device: not what began the graph');
    const graph = this.#handle++;
    this.#graphs.set(graph, this.#capture.nodes);
    this.#capture = undefined;
    return graph;
  }

  launchGraph(graph: Handle, stream: Handle): void {
    this.#driver.enter('launchGraph');
    const nodes = this.#graphs.get(graph);
    if (nodes === undefined) throw new Error('fake device: no such graph');
    for (const node of nodes) this.#enqueue(stream, node);
  }

  destroyGraph(graph: Handle): void {
    this.#driver.enter('destroyGraph');
    this.#graphs.delete(graph);
  }

  advance(): void {
    for (const work of this.#queue.splice(0)) work();
  }

  #enqueue(stream: Handle, work: () => void): void {
    if (this.#capture?.streams.has(stream)) this.#capture.nodes.push(work);
    else if (this.#driver.automatic && this.#queue.length === 0) work();
    else this.#queue.push(work);
  }
}
