import { DisposedError, describeValue, InvalidArgumentError } from '@flash-mla/core';
import type { Backend, HostMemory } from '../device/backend.ts';
import type { Recording } from './recording.ts';

/** What host memory needs of the device that reaches it. */
export interface PinnedHost {
  /** The spec that opened the device, for messages. */
  readonly id: string;
  readonly closed: boolean;
  /** The capture under way. */
  readonly recording: Recording | undefined;
  /** Throws {@link DisposedError} or {@link DeviceLostError} when the device is closed. */
  readonly backend: Backend;
}

/** The largest buffer: as long as typed arrays get in every engine that is supported. */
const mostBytes = 2 ** 32 - 2 ** 16;

/** The memory of a buffer, for copies: within a capture the graph keeps it. */
export let hostMemoryOf: (buffer: PinnedBuffer) => HostMemory;

/**
 * Host memory that the device copies from and to by itself: page-locked on `cuda`, ordinary elsewhere.
 * Filled through {@link bytes}, and copied by range with `device.copy`. A copy that is enqueued reads or
 * writes the bytes when its stream gets there; do not touch them until an event after it is done.
 *
 * The bytes are memory of this process. They stay readable when the device is lost, and a view of them that
 * is kept beyond {@link dispose} is ordinary memory.
 */
export class PinnedBuffer implements Disposable {
  readonly device: PinnedHost;
  readonly byteLength: number;
  readonly #memory: HostMemory;
  #disposed = false;
  /** Graphs that use it. */
  #holders = 0;

  static {
    hostMemoryOf = (buffer) => {
      buffer.#checkOpen();
      buffer.device.recording?.keep(buffer, () => buffer.#hold());
      return buffer.#memory;
    };
  }

  /** Use `device.pinned()`. */
  constructor(device: PinnedHost, byteLength: number) {
    if (!Number.isInteger(byteLength) || byteLength < 1 || byteLength > mostBytes) {
      throw new InvalidArgumentError(
        'byteLength',
        `an integer from 1 to ${mostBytes}`,
        describeValue(byteLength),
      );
    }
    this.device = device;
    this.byteLength = byteLength;
    this.#memory = device.backend.allocateHost(byteLength);
  }

  /** Whether a value is a pinned buffer. Never throws. */
  static isPinned(value: unknown): value is PinnedBuffer {
    return typeof value === 'object' && value !== null && #memory in value;
  }

  /** The memory: zeros at first. Throws {@link DisposedError} after {@link dispose}. */
  get bytes(): Uint8Array {
    this.#checkOpen();
    return this.#memory.bytes;
  }

  /**
   * Gives the memory back, once the copies under way are done and every graph that uses it is disposed of.
   * Idempotent. Within a capture it throws {@link InvalidArgumentError}.
   */
  dispose(): void {
    if (this.#disposed) return;
    this.device.recording?.refuse('dispose() of a pinned buffer');
    this.#disposed = true;
    if (this.#holders === 0) this.#release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #hold(): () => void {
    this.#holders++;
    return () => {
      this.#holders--;
      if (this.#disposed && this.#holders === 0) this.#release();
    };
  }

  #release(): void {
    if (!this.device.closed) this.device.backend.releaseHost(this.#memory);
  }

  #checkOpen(): void {
    if (this.#disposed) throw new DisposedError(`pinned buffer of ${this.byteLength} bytes`);
  }
}
