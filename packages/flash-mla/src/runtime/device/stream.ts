import { DisposedError, describeValue, InvalidArgumentError } from '@flash-mla/core';
import type { Recording } from '../tensor/recording.ts';
import type { Backend, BackendEvent, BackendStream } from './backend.ts';
import type { CapturedClock } from './captured-order.ts';

/** What a stream needs of its device. */
export interface StreamHost {
  /** The spec that opened the device, for messages. */
  readonly id: string;
  /** The capture under way. */
  readonly recording: Recording | undefined;
  /** The stream that work goes to at present. */
  readonly stream: Stream;
  /** Throws {@link DisposedError} or {@link DeviceLostError} when the device is closed. */
  readonly backend: Backend;
}

/** Where something is to be enqueued. */
export interface StreamOptions {
  /** A stream of the device; the one of `device.withStream` unless given, else the default stream. */
  readonly stream?: Stream | undefined;
}

/** The stream of a host, checked: it must be open, and part of the capture under way. */
export let queueOf: (stream: Stream, host: StreamHost) => BackendStream;

let eventFor: (
  event: unknown,
  host: StreamHost,
) => { readonly event: BackendEvent; readonly clock: CapturedClock | undefined };

/**
 * A point in the work of a stream, from {@link Stream.record}. An event recorded within a capture is
 * part of the graph, and only streams within the same capture can wait for it.
 */
export class StreamEvent {
  readonly #host: StreamHost;
  readonly #event: BackendEvent;
  readonly #recording: Recording | undefined;
  readonly #clock: CapturedClock | undefined;

  /** Use {@link Stream.record}. */
  constructor(host: StreamHost, event: BackendEvent, clock: CapturedClock | undefined) {
    this.#host = host;
    this.#event = event;
    this.#recording = host.recording;
    this.#clock = clock;
  }

  /**
   * Whether the work before it is done. Never blocks. Throws what went wrong in that work where the device
   * is lost, and {@link InvalidArgumentError} for an event of a capture or within one.
   */
  isDone(): boolean {
    this.#checkOutside('isDone() of an event');
    return this.#event.isDone();
  }

  /** Resolves once the work before it is done; rejects with what went wrong. Not within a capture. */
  synchronize(): Promise<void> {
    this.#checkOutside('synchronize() of an event');
    return this.#event.synchronize();
  }

  static {
    eventFor = (event, host) => {
      if (typeof event !== 'object' || event === null || !(#event in event)) {
        throw new InvalidArgumentError('event', 'what record() gave', describeValue(event));
      }
      if (event.#host !== host) {
        const other = `one of another device, '${event.#host.id}'`;
        throw new InvalidArgumentError('event', `an event of device '${host.id}'`, other);
      }
      if (event.#recording !== host.recording) {
        throw new InvalidArgumentError(
          'event',
          host.recording ? 'one recorded within this capture' : 'one recorded outside of captures',
          event.#recording ? 'one of another capture' : 'one recorded before it',
          'A graph waits for nothing outside of itself: let the stream wait before replay().',
        );
      }
      return { event: event.#event, clock: event.#clock };
    };
  }

  #checkOutside(what: string): void {
    this.#host.recording?.refuse(what);
    // Throws where the device is gone.
    void this.#host.backend;
    if (this.#recording === undefined) return;
    throw new InvalidArgumentError(
      'event',
      'one recorded outside of captures',
      'one that is part of a graph',
      'Record one after replay().',
    );
  }
}

/**
 * An order of work on a device: what is enqueued on one stream runs in the order of the calls, and
 * side by side with what is enqueued on others, unless {@link wait} orders them. See docs/streams.md.
 */
export class Stream implements Disposable {
  /** For messages. */
  readonly name: string;
  readonly #host: StreamHost;
  readonly #queue: BackendStream;
  readonly #onDispose: (() => void) | undefined;
  #disposed = false;

  static {
    queueOf = (stream, host) => {
      if (typeof stream !== 'object' || stream === null || !(#queue in stream)) {
        throw new InvalidArgumentError('stream', 'a stream of the device', describeValue(stream));
      }
      if (stream.#host !== host) {
        const other = `one of another device, '${stream.#host.id}'`;
        throw new InvalidArgumentError('stream', `a stream of device '${host.id}'`, other);
      }
      stream.#checkOpen();
      stream.#checkTakesPart();
      host.recording?.order.advance(stream);
      return stream.#queue;
    };
  }

  /** Use `device.createStream()`. */
  constructor(host: StreamHost, queue: BackendStream, name: string, onDispose?: () => void) {
    this.#host = host;
    this.#queue = queue;
    this.name = name;
    this.#onDispose = onDispose;
  }

  /**
   * A point after the work enqueued so far. Within a capture the stream must take part in it. Throws
   * {@link InvalidArgumentError}, {@link DisposedError}.
   */
  record(): StreamEvent {
    this.#checkOpen();
    this.#checkTakesPart();
    const clock = this.#host.recording?.order.clockOf(this);
    return new StreamEvent(this.#host, this.#queue.record(), clock);
  }

  /**
   * What is enqueued on this stream from now on waits for the event. The host does not. Within a capture
   * the stream takes part in the graph from here on, and the event must be one of the capture; outside
   * it must not. Throws {@link InvalidArgumentError}, {@link DisposedError}.
   */
  wait(event: StreamEvent): void {
    this.#checkOpen();
    const { event: point, clock } = eventFor(event, this.#host);
    if (clock) this.#host.recording?.order.wait(this, clock);
    this.#queue.wait(point);
  }

  /**
   * Resolves once the work enqueued on this stream so far is done; rejects with what went wrong in it, and
   * with {@link DisposedError} if the device is disposed of meanwhile. Within a capture it throws
   * {@link InvalidArgumentError}.
   */
  synchronize(): Promise<void> {
    this.#host.recording?.refuse('synchronize()');
    this.#checkOpen();
    return this.#queue.synchronize();
  }

  /**
   * Gives the stream back once its work is done. Idempotent. Throws {@link InvalidArgumentError} for the
   * default stream, within a capture, and within `device.withStream` of this stream.
   */
  dispose(): void {
    if (this.#disposed) return;
    this.#host.recording?.refuse('dispose() of a stream');
    const isDefault = this.#onDispose === undefined;
    if (isDefault || this.#host.stream === this) {
      throw new InvalidArgumentError(
        'stream',
        'one made by createStream(), outside of withStream() with it',
        isDefault ? 'the default stream' : 'the one that work goes to now',
      );
    }
    this.#disposed = true;
    this.#onDispose?.();
    this.#queue.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkOpen(): void {
    if (this.#disposed) throw new DisposedError(`stream '${this.name}'`);
    // Throws where the device is gone.
    void this.#host.backend;
  }

  #checkTakesPart(): void {
    const { recording } = this.#host;
    if (recording === undefined || recording.order.has(this)) return;
    throw new InvalidArgumentError(
      'stream',
      'one that takes part in the capture',
      `'${this.name}', which has waited for no event of it`,
      'Let it wait() for an event that the captured stream record()s within the capture.',
    );
  }
}

/** The stream that options name. */
export function streamOf(options: StreamOptions | undefined): Stream | undefined {
  if (options === undefined) return undefined;
  if (typeof options === 'object' && options !== null) return options.stream;
  throw new InvalidArgumentError('options', 'an object', describeValue(options));
}
