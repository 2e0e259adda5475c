import type {
  Backend,
  BackendBuffer,
  BackendGraph,
  DeviceInfo,
  MemoryStats,
  SchedulePlan,
  ScheduleProblem,
} from '../../backends/backend.ts';
import { Device } from '../../device.ts';

type Operation =
  | 'computeSchedule'
  | 'denseDecode'
  | 'sparseDecode'
  | 'sparsePrefill'
  | 'denseAttention'
  | 'quantizeKvCache'
  | 'dequantizeKvCache'
  | 'appendKvCache';

class HostBuffer implements BackendBuffer {
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
  readonly calls: { readonly operation: Operation; readonly args: unknown }[] = [];
  readonly live = new Set<BackendBuffer>();
  /** The operation of this name throws. */
  failing: Operation | undefined;
  /** Allocations that still succeed. */
  room = Number.POSITIVE_INFINITY;
  plan: SchedulePlan = { numParts: 3, blockTokens: 64, overheadBlocks: 2, splitBlocks: 0 };
  closed = false;

  constructor(id = 'cpu') {
    this.info = { backend: 'cpu', id, name: 'recording', parallelism: 1, details: {} };
  }

  allocate(byteLength: number): BackendBuffer {
    if (this.room-- <= 0) throw new Error('no room');
    const buffer = new HostBuffer(byteLength);
    this.live.add(buffer);
    return buffer;
  }

  release(buffer: BackendBuffer): void {
    if (!this.live.delete(buffer)) throw new Error('released twice');
  }

  write(buffer: BackendBuffer, byteOffset: number, bytes: Uint8Array): void {
    (buffer as HostBuffer).bytes.set(bytes, byteOffset);
  }

  async read(buffer: BackendBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    return (buffer as HostBuffer).bytes.slice(byteOffset, byteOffset + byteLength);
  }

  async synchronize(): Promise<void> {}

  memoryStats(): MemoryStats {
    let allocated = 0;
    for (const { byteLength } of this.live) allocated += byteLength;
    return { allocated, reserved: allocated, peak: allocated };
  }

  planSchedule(problem: ScheduleProblem): SchedulePlan {
    return { ...this.plan, splitBlocks: problem.deterministic ? 4 : 0 };
  }

  capture(enqueue: () => void): BackendGraph {
    enqueue();
    return { replay: () => {}, dispose: () => {} };
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  #note(operation: Operation, args: unknown): void {
    if (this.failing === operation) throw new Error(`${operation} fails`);
    this.calls.push({ operation, args });
  }

  computeSchedule(args: unknown): void {
    this.#note('computeSchedule', args);
  }
  denseDecode(args: unknown): void {
    this.#note('denseDecode', args);
  }
  sparseDecode(args: unknown): void {
    this.#note('sparseDecode', args);
  }
  sparsePrefill(args: unknown): void {
    this.#note('sparsePrefill', args);
  }
  denseAttention(args: unknown): void {
    this.#note('denseAttention', args);
  }
  quantizeKvCache(args: unknown): void {
    this.#note('quantizeKvCache', args);
  }
  dequantizeKvCache(args: unknown): void {
    this.#note('dequantizeKvCache', args);
  }
  appendKvCache(args: unknown): void {
    this.#note('appendKvCache', args);
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
