import { FlashMlaError } from '@flash-mla/core';
import type { BackendEvent } from '../../device/backend.ts';
import type { CudaContext, Handle, PinnedMemory } from '../driver/driver.ts';
import type { Transfers } from '../memory/transfers.ts';
import type { CudaStream } from './cuda-stream.ts';

/**
 * A graph that is being recorded. It begins on one stream; another takes part once it waits for an
 * event that was recorded within. Whether all of them come together again is up to who asks for the
 * graph; whatever has not is joined at the end, so that the driver always ends the recording.
 */
export class Capture {
  readonly #context: CudaContext;
  readonly #origin: CudaStream;
  readonly #transfers: Transfers;
  readonly #joined = new Set<CudaStream>();
  readonly #events: Handle[] = [];
  readonly #releases: (() => void)[] = [];

  /** What `transfers` has page-locked must live as long as any graph. */
  constructor(context: CudaContext, origin: CudaStream, transfers: Transfers) {
    this.#context = context;
    this.#origin = origin;
    this.#transfers = transfers;
    context.beginCapture(origin.handle);
    this.#releases.push(origin.state.beginRecording());
  }

  record(stream: CudaStream): BackendEvent {
    const event = this.#context.createEvent(false);
    this.#events.push(event);
    this.#context.recordEvent(event, stream.handle);
    return new RecordedEvent(event);
  }

  wait(stream: CudaStream, event: BackendEvent): void {
    this.#context.waitEvent(stream.handle, (event as RecordedEvent).handle);
    if (stream === this.#origin || this.#joined.has(stream)) return;
    this.#joined.add(stream);
    this.#releases.push(stream.state.beginRecording());
  }

  /** A write that the graph repeats: its bytes stay in page-locked memory as long as the graph. */
  write(stream: CudaStream, target: number, bytes: Uint8Array): void {
    const kept: PinnedMemory[] = [];
    this.#releases.push(() => this.#transfers.release(kept));
    this.#transfers.record(target, bytes, kept, stream.handle);
  }

  /** Ends the recording, also after a failure, which only this does. Gives the driver's graph. */
  end(): Handle {
    try {
      for (const stream of this.#joined) {
        this.record(stream);
        this.#context.waitEvent(this.#origin.handle, this.#events.at(-1) as Handle);
      }
      return this.#context.endCapture(this.#origin.handle);
    } finally {
      for (const { state } of [this.#origin, ...this.#joined]) state.endRecording();
      for (const event of this.#events.splice(0)) this.#context.destroyEvent(event);
    }
  }

  /** The graph is gone: what it used beside memory may serve others. */
  release(): void {
    for (const release of this.#releases.splice(0)) release();
  }
}

/** An event within a graph, where no point in time is one. */
class RecordedEvent implements BackendEvent {
  readonly handle: Handle;

  constructor(handle: Handle) {
    this.handle = handle;
  }

  isDone(): never {
    throw new FlashMlaError('an event recorded into a graph is done anew with each replay');
  }

  synchronize(): Promise<void> {
    return Promise.reject(
      new FlashMlaError('an event recorded into a graph is done anew with each replay'),
    );
  }
}
