import type { BackendEvent, BackendStream } from '../../device/backend.ts';
import type { SharedContext } from '../device/shared-context.ts';
import type { Handle } from '../driver/driver.ts';
import type { CounterPool } from '../launch/counters.ts';
import { StreamState } from '../launch/stream-state.ts';
import type { DeviceMemory } from '../memory/device-memory.ts';
import { Transfers } from '../memory/transfers.ts';
import type { Capture } from './capture.ts';
import { CudaEvent } from './cuda-event.ts';
import { Timeline } from './timeline.ts';

/** What a stream needs of its backend. */
export interface StreamOwner {
  readonly shared: SharedContext;
  readonly memory: DeviceMemory;
  readonly counters: CounterPool;
  /** The graph that is being recorded. */
  readonly recording: Capture | undefined;
  /** Debug mode: a result, unless what the stream did on the way to it is wrong. */
  checked<T>(result: Promise<T>, stream: CudaStream): Promise<T>;
  retire(stream: CudaStream): void;
}

/** A stream of the driver with everything that its work needs beside tensors. */
export class CudaStream implements BackendStream {
  readonly handle: Handle;
  readonly timeline: Timeline;
  readonly transfers: Transfers;
  readonly state: StreamState;
  readonly #owner: StreamOwner;
  #retired = false;

  constructor(owner: StreamOwner, name: string) {
    const { shared, memory } = owner;
    this.#owner = owner;
    this.handle = shared.context.createStream(name);
    this.timeline = new Timeline(shared.context, this.handle);
    this.transfers = new Transfers(shared, this.handle, this.timeline, memory);
    this.state = new StreamState(this.handle, memory, owner.counters);
  }

  record(): BackendEvent {
    return this.#owner.recording?.record(this) ?? new CudaEvent(this.timeline);
  }

  wait(event: BackendEvent): void {
    const { recording } = this.#owner;
    if (recording) recording.wait(this, event);
    else (event as CudaEvent).holdBack(this.handle);
  }

  async synchronize(): Promise<void> {
    return this.#owner.checked(this.timeline.wait(this.timeline.mark()), this);
  }

  dispose(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#owner.retire(this);
  }

  /** Gives everything back; all work must be done. */
  destroy(): void {
    this.transfers.destroy();
    this.timeline.destroy();
    this.#owner.shared.context.destroyStream(this.handle);
  }
}
