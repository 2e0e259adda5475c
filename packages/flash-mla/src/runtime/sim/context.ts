import {
  type Counters,
  encodeTensorMap,
  type Footprint,
  SimMemory,
  simulateInSteps,
  type TensorMapDescription,
  type Touched,
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
  LockedMemory,
  PinnedMemory,
  PreparedRun,
} from '../cuda/driver/driver.ts';
import { CudaDriverError } from '../cuda/driver/driver-error.ts';
import { asDriverError } from './errors.ts';
import { SimGraph } from './graph.ts';
import { WorkQueue } from './queue.ts';
import { StreamRaces } from './stream-races.ts';

/** How long a query simulates before it lets the event loop go on. A CTA is never interrupted. */
const sliceMs = 10;
/** Host addresses are only names here; they lie apart from the device's. */
const hostBase = 2 ** 40;
/** No host memory is larger. */
const hostSpan = 2 ** 32;

/** Host memory that copies reach. */
interface HostBytes {
  readonly base: Address;
  readonly bytes: Uint8Array;
  /** What accesses to it are noted for: kernels may reach it by another address. */
  readonly touched: Touched;
}

/** What a launch, copy or fill does; the footprint, where there is one, learns what it touches. */
export type Action = (footprint: Footprint | undefined) => Generator<void, unknown> | undefined;

/**
 * A simulated device's context. All streams share one queue, which is an order that streams allow; that
 * no other order that they allow would change what happens is what {@link StreamRaces} watches over.
 */
export class SimContext implements CudaContext {
  readonly ordinal: number;
  readonly #facts: DeviceFacts;
  readonly #queue = new WorkQueue();
  readonly #events = new Map<Handle, number | undefined>();
  readonly #pinned = new Map<Address, HostBytes>();
  readonly #graphs = new Map<Handle, SimGraph>();
  readonly #races = new StreamRaces();
  #memory: SimMemory;
  #recording: SimGraph | undefined;
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
    this.#races.clear();
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
    const base = this.#newHostAddress();
    const bytes = new Uint8Array(size);
    this.#pinned.set(base, { base, bytes, touched: { base, size } });
    return { address: base, bytes };
  }

  freePinned(memory: PinnedMemory): void {
    this.#pinned.delete(memory.address);
  }

  lockMemory(size: number): LockedMemory {
    const mapped = this.#memory.mapHost(size);
    const bytes = mapped.bytes.subarray(0, size);
    const address = this.#newHostAddress();
    this.#pinned.set(address, { base: address, bytes, touched: mapped });
    return { address, deviceAddress: mapped.base, bytes };
  }

  unlockMemory({ address, deviceAddress }: LockedMemory): void {
    this.#pinned.delete(address);
    this.free(deviceAddress);
  }

  createStream(name = 'a stream'): Handle {
    const stream = this.#newHandle();
    this.#races.addStream(stream, name);
    return stream;
  }

  destroyStream(stream: Handle): void {
    this.#races.removeStream(stream);
  }

  createEvent(): Handle {
    const event = this.#newHandle();
    this.#events.set(event, undefined);
    return event;
  }

  destroyEvent(event: Handle): void {
    this.#events.delete(event);
    this.#races.forget(event);
  }

  recordEvent(event: Handle, stream: Handle): void {
    if (this.#recording?.has(stream)) {
      this.#recording.record(event, stream);
      return;
    }
    this.#races.record(event, stream);
    this.#events.set(event, undefined);
    this.#queue.push(() => void this.#events.set(event, performance.now()));
  }

  waitEvent(stream: Handle, event: Handle): void {
    if (this.#recording?.knows(event)) this.#recording.wait(stream, event);
    else this.#races.wait(stream, event);
  }

  queryEvent(event: Handle): boolean {
    this.#queue.run(sliceMs);
    if (this.#events.get(event) === undefined) return false;
    this.#races.seen(event);
    return true;
  }

  synchronizeEvent(event: Handle): void {
    this.#queue.run(Number.POSITIVE_INFINITY);
    this.#races.seen(event);
  }

  /** The host's time: a simulation says nothing about a GPU's. */
  elapsedMs(begin: Handle, end: Handle): number {
    return (this.#events.get(end) ?? 0) - (this.#events.get(begin) ?? 0);
  }

  copyToDevice(target: Address, source: Address, bytes: number, stream: Handle): void {
    const host = this.#hostMemory(source, bytes);
    const offset = source - host.base;
    this.#enqueue('cuMemcpyHtoDAsync', 'a copy to the device', stream, (footprint) => {
      this.#memory.write(target, host.bytes.subarray(offset, offset + bytes));
      footprint?.read(host.touched, offset, bytes);
      this.#note(footprint, 'write', target, bytes);
    });
  }

  copyToHost(target: Address, source: Address, bytes: number, stream: Handle): void {
    const host = this.#hostMemory(target, bytes);
    const offset = target - host.base;
    this.#enqueue('cuMemcpyDtoHAsync', 'a copy to the host', stream, (footprint) => {
      host.bytes.set(this.#memory.read(source, bytes), offset);
      footprint?.write(host.touched, offset, bytes);
      this.#note(footprint, 'read', source, bytes);
    });
  }

  copyOnDevice(target: Address, source: Address, bytes: number, stream: Handle): void {
    this.#enqueue('cuMemcpyDtoDAsync', 'a copy on the device', stream, (footprint) => {
      this.#memory.copy(target, source, bytes);
      this.#note(footprint, 'read', source, bytes);
      this.#note(footprint, 'write', target, bytes);
    });
  }

  fill(target: Address, word: number, words: number, stream: Handle): void {
    const data = new Uint32Array(words).fill(word);
    this.#enqueue('cuMemsetD32Async', 'a fill', stream, (footprint) => {
      this.#memory.write(target, data);
      this.#note(footprint, 'write', target, data.byteLength);
    });
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
      this.#enqueue('cuLaunchKernelEx', `kernel ${source.name}`, stream, (footprint) => {
        const memory = this.#memory;
        const tracked = footprint && { footprint };
        const launch = { grid, cluster, params, memory, target, sharedBytes, ...tracked };
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
    this.#recording = new SimGraph(stream);
  }

  endCapture(): Handle {
    const handle = this.#newHandle();
    const graph = this.#recording;
    if (graph === undefined) {
      const problem = 'no capture is under way';
      throw new CudaDriverError('cuStreamEndCapture', 401, 'CUDA_ERROR_ILLEGAL_STATE', problem);
    }
    graph.end(() => this.#newHandle());
    this.#graphs.set(handle, graph);
    this.#recording = undefined;
    return handle;
  }

  launchGraph(graph: Handle, stream: Handle): void {
    this.#graphs.get(graph)?.launch(stream, {
      enqueue: (branch, { call, what, action }) => this.#push(call, what, branch, action),
      record: (event, branch) => this.#races.record(event, branch),
      wait: (branch, event) => this.#races.wait(branch, event),
    });
  }

  destroyGraph(graph: Handle): void {
    this.#graphs.delete(graph);
  }

  #enqueue(call: string, what: string, stream: Handle, action: Action | (() => void)): void {
    const recording = this.#recording;
    const step = action as Action;
    if (recording?.has(stream)) recording.add(stream, { call, what, action: step });
    else this.#push(call, what, stream, step);
  }

  #push(call: string, what: string, stream: Handle, action: Action): void {
    const tracked = this.#races.enqueue(stream, what);
    const finish = () => {
      if (tracked !== undefined) this.#races.finish(tracked);
    };
    this.#queue.push(() => {
      try {
        const steps = action(tracked?.footprint);
        if (steps) return translate(call, steps, finish);
        finish();
        return undefined;
      } catch (error) {
        throw asDriverError(call, error);
      }
    });
  }

  #note(footprint: Footprint | undefined, how: 'read' | 'write', at: Address, bytes: number): void {
    if (footprint === undefined || bytes === 0) return;
    this.#memory.locate(at, bytes, (memory, offset) => footprint[how](memory, offset, bytes));
  }

  *#counted(kernel: string, steps: Generator<void, Counters>): Generator<void, void> {
    this.#count(kernel, yield* steps);
  }

  #hostMemory(address: Address, bytes: number): HostBytes {
    const memory = this.#pinned.get(Math.floor(address / hostSpan) * hostSpan);
    if (memory && address - memory.base + bytes <= memory.bytes.length) return memory;
    const problem = `${bytes} bytes at host address ${address} are not pinned memory`;
    throw new CudaDriverError('cuMemcpyAsync', 1, 'CUDA_ERROR_INVALID_VALUE', problem);
  }

  #newHostAddress(): Address {
    return hostBase + this.#newHandle() * hostSpan;
  }

  #newMemory(): SimMemory {
    return new SimMemory({ capacity: this.#facts.memoryBytes });
  }

  #newHandle(): Handle {
    return ++this.#handles;
  }
}

function* translate(
  call: string,
  steps: Generator<void, unknown>,
  finish: () => void,
): Generator<void, unknown> {
  try {
    const result = yield* steps;
    finish();
    return result;
  } catch (error) {
    throw asDriverError(call, error);
  }
}
