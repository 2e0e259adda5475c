import { DisposedError, describeValue, InvalidArgumentError } from '@flash-mla/core';
import type { HostMemory } from '../device/backend.ts';
import {
  type Allocation,
  type AllocationHost,
  allocateHostMemory,
  allocationLabel,
  disposeMemory,
} from './allocation.ts';

/** What host memory needs of the device that reaches it. */
export interface PinnedHost extends AllocationHost {
  /** The spec that opened the device, for messages. */
  readonly id: string;
}

/** The largest buffer: as long as typed arrays get in every engine that is supported. */
const mostBytes = 2 ** 32 - 2 ** 17;

/** What a buffer shares with its tensors. Throws {@link DisposedError}. */
export let allocationOf: (buffer: PinnedBuffer) => Allocation;

/** The memory of a buffer, for copies: within a capture the graph keeps it. */
export function hostMemoryOf(buffer: PinnedBuffer): HostMemory {
  const allocation = allocationOf(buffer);
  buffer.device.recording?.hold(allocation);
  return allocation.buffer as HostMemory;
}

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
  readonly #allocation: Allocation;

  static {
    allocationOf = (buffer) => {
      const allocation = buffer.#allocation;
      if (allocation.disposed) throw new DisposedError(allocationLabel(allocation));
      return allocation;
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
    this.#allocation = allocateHostMemory(device, byteLength);
  }

  /** Whether a value is a pinned buffer. Never throws. */
  static isPinned(value: unknown): value is PinnedBuffer {
    return typeof value === 'object' && value !== null && #allocation in value;
  }

  /** The memory: zeros at first. Throws {@link DisposedError} after {@link dispose}. */
  get bytes(): Uint8Array {
    return (allocationOf(this).buffer as HostMemory).bytes;
  }

  /**
   * Gives the memory back, for the buffer and the tensors on it, once the work that uses it is done and
   * every graph that uses it is disposed of. Idempotent.
   */
  dispose(): void {
    disposeMemory(this.device, this.#allocation);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
