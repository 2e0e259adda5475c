import { FlashMlaError } from '@flash-mla/core';
import type { Operation } from '../operation/operation.ts';
import type { DeviceBuffer } from '../tensor/view.ts';
import type {
  Backend,
  BackendGraph,
  BackendStream,
  DeviceInfo,
  HostMemory,
  MemoryStats,
} from './backend.ts';
import { ordinaryMemory } from './host-memory.ts';
import { idleQueue, QueueStream } from './one-queue.ts';

/**
 * A device that is not there: calls go the way they always go, up to the launch, which is noted down
 * instead. Tensors have sizes and addresses, but no memory. What `flash-mla inspect` opens.
 */
export abstract class TraceBackend implements Backend {
  readonly info: DeviceInfo;
  readonly defaultStream: BackendStream = new QueueStream(idleQueue);
  stream = this.defaultStream;

  constructor(info: DeviceInfo) {
    this.info = info;
  }

  abstract allocate(byteLength: number): DeviceBuffer;
  abstract run<Args extends object>(operation: Operation<Args, never, unknown>, args: Args): void;
  abstract traits<Shape, Traits>(operation: Operation<never, Shape, Traits>, shape: Shape): Traits;

  createStream(): BackendStream {
    return new QueueStream(idleQueue);
  }

  release(): void {}

  write(): void {}

  fill(): void {}

  copy(): void {}

  readonly reachesHostMemory: boolean = false;

  allocateHost(byteLength: number): HostMemory {
    return ordinaryMemory(byteLength);
  }

  copyFromHost(): void {}

  copyToHost(): void {}

  async read(): Promise<Uint8Array> {
    throw new FlashMlaError(
      `device '${this.info.id}' only notes launches: it has nothing to read.`,
    );
  }

  async synchronize(): Promise<void> {}

  memoryStats(): MemoryStats {
    return { allocated: 0, reserved: 0, peak: 0 };
  }

  capture(): BackendGraph {
    throw new FlashMlaError(`device '${this.info.id}' only notes launches: it records no graph.`);
  }

  async close(): Promise<void> {}
}
