import type {
  Backend,
  BackendGraph,
  BackendStream,
  DeviceInfo,
  HostMemory,
  MemoryStats,
} from '../../../../runtime/device/backend.ts';
import { Device } from '../../../../runtime/device/device.ts';
import { idleQueue, QueueStream } from '../../../../runtime/device/one-queue.ts';
import type { Operation } from '../../../../runtime/operation/operation.ts';
import { fillByWrites } from '../../../../runtime/tensor/fill.ts';
import type { DeviceBuffer } from '../../../../runtime/tensor/view.ts';
import type { DecodeShape, SchedulePlan } from '../../schedule-contract.ts';

class HostBuffer implements DeviceBuffer {
  readonly bytes: Uint8Array;

  constructor(byteLength: number) {
    this.bytes = new Uint8Array(byteLength);
  }

  get byteLength(): number {
    return this.bytes.byteLength;
  }
}

/** A backend that keeps memory on the host and notes what it is asked to do, instead of doing it. */
export class RecordingBackend implements Backend {
  readonly info: DeviceInfo;
  readonly defaultStream: BackendStream = new QueueStream(idleQueue);
  stream = this.defaultStream;
  readonly calls: { readonly operation: string; readonly args: unknown }[] = [];
  readonly live = new Set<DeviceBuffer>();
  readonly pinned = new Set<HostMemory>();
  readonly reachesHostMemory: boolean = true;
  /** The operation of this name throws. */
  failing: string | undefined;
  /** Allocations that still succeed. */
  room = Number.POSITIVE_INFINITY;
  plan: SchedulePlan = { numParts: 3, blockTokens: 64, overheadBlocks: 2, splitBlocks: 0 };
  closed = false;

  constructor(id = 'cpu') {
    this.info = { backend: 'cpu', id, name: 'recording', parallelism: 1, details: {} };
  }

  createStream(): BackendStream {
    return new QueueStream(idleQueue);
  }

  allocate(byteLength: number): DeviceBuffer {
    if (this.room-- <= 0) throw new Error('no room');
    const buffer = new HostBuffer(byteLength);
    this.live.add(buffer);
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    if (this.pinned.delete(buffer as HostBuffer)) return;
    if (!this.live.delete(buffer)) throw new Error('released twice');
  }

  write(buffer: DeviceBuffer, byteOffset: number, bytes: Uint8Array): void {
    (buffer as HostBuffer).bytes.set(bytes, byteOffset);
  }

  fill(buffer: DeviceBuffer, byteOffset: number, byteLength: number, element: Uint8Array): void {
    fillByWrites(this, buffer, byteOffset, byteLength, element);
  }

  copy(source: DeviceBuffer, from: number, target: DeviceBuffer, to: number, bytes: number): void {
    this.write(target, to, (source as HostBuffer).bytes.slice(from, from + bytes));
  }

  allocateHost(byteLength: number): HostMemory {
    const memory = new HostBuffer(byteLength);
    this.pinned.add(memory);
    return memory;
  }

  copyFromHost(
    { bytes }: HostMemory,
    from: number,
    target: DeviceBuffer,
    to: number,
    count: number,
  ): void {
    this.write(target, to, bytes.slice(from, from + count));
  }

  copyToHost(
    source: DeviceBuffer,
    from: number,
    { bytes }: HostMemory,
    to: number,
    count: number,
  ): void {
    bytes.set((source as HostBuffer).bytes.subarray(from, from + count), to);
  }

  async read(buffer: DeviceBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    return (buffer as HostBuffer).bytes.slice(byteOffset, byteOffset + byteLength);
  }

  async synchronize(): Promise<void> {}

  memoryStats(): MemoryStats {
    let allocated = 0;
    for (const { byteLength } of this.live) allocated += byteLength;
    return { allocated, reserved: allocated, peak: allocated };
  }

  run<Args extends object>({ name }: Operation<Args, never, unknown>, args: Args): void {
    if (this.failing === name) throw new Error(`${name} fails`);
    this.calls.push({ operation: name, args });
  }

  /** Decode operations are asked how their work is to be cut. */
  traits<Shape, Traits>(_: Operation<never, Shape, Traits>, shape: Shape): Traits {
    const { problem } = shape as DecodeShape;
    return { ...this.plan, splitBlocks: problem.deterministic ? 4 : 0 } as Traits;
  }

  capture(enqueue: () => void): BackendGraph {
    enqueue();
    return { replay: () => {}, dispose: () => {} };
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** A device on a {@link RecordingBackend}. */
export function recordingDevice(
  id = 'cpu',
  debug = false,
): { device: Device; backend: RecordingBackend } {
  const backend = new RecordingBackend(id);
  return { device: new Device(backend, debug, []), backend };
}
