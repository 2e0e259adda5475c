import { InvalidArgumentError } from '@flash-mla/core';
import type { Backend } from '../device/backend.ts';
import { CapturedOrder } from '../device/captured-order.ts';
import type { Allocation } from './allocation.ts';
import type { DeviceBuffer } from './view.ts';

/**
 * The memory of a captured graph. Whatever the graph uses stays where it is until the graph is disposed
 * of, whether or not its tensors are: a replay finds no one else's data there.
 *
 * A tensor that is made and disposed of within the capture is a temporary: later tensors of the same
 * capture take its memory, as they would outside, as long as the device has one stream.
 */
export class Recording {
  /** The streams that take part. */
  readonly order: CapturedOrder;
  readonly #held = new Set<Allocation>();
  readonly #made = new WeakSet<Allocation>();
  /** Memory of temporaries, by size. */
  readonly #spare = new Map<number, DeviceBuffer[]>();
  /** With several streams a temporary may still be in use where the next would be written. */
  readonly #mayReuse: boolean;

  /** `origin`: the stream that is captured; `isSingle`: whether the device has no other. */
  constructor(origin: object, isSingle: boolean) {
    this.order = new CapturedOrder(origin);
    this.#mayReuse = isSingle;
  }

  /** Notes that the graph uses memory. */
  hold(allocation: Allocation): void {
    if (this.#held.has(allocation)) return;
    this.#held.add(allocation);
    allocation.holders++;
  }

  /** Memory of a temporary that is gone; undefined where none has this size. */
  reuse(byteLength: number): DeviceBuffer | undefined {
    return this.#mayReuse ? this.#spare.get(byteLength)?.pop() : undefined;
  }

  /** Notes memory that came into being within the capture. */
  made(allocation: Allocation): void {
    this.#made.add(allocation);
    this.hold(allocation);
  }

  /** Keeps the memory of a tensor that is disposed of, if it was a temporary. */
  spare(allocation: Allocation): void {
    if (!this.#made.has(allocation) || !this.#held.delete(allocation)) return;
    const { buffer } = allocation;
    const list = this.#spare.get(buffer.byteLength);
    if (list) list.push(buffer);
    else this.#spare.set(buffer.byteLength, [buffer]);
  }

  /** The graph is gone: gives back what only it kept. */
  release(backend: Backend): void {
    for (const allocation of this.#held) {
      allocation.holders--;
      if (allocation.disposed && allocation.holders === 0) backend.release(allocation.buffer);
    }
    this.#held.clear();
    for (const buffers of this.#spare.values()) {
      for (const buffer of buffers) backend.release(buffer);
    }
    this.#spare.clear();
  }

  /** Throws: a capture can only enqueue. */
  refuse(what: string): never {
    throw new InvalidArgumentError(
      'enqueue',
      'a function that only enqueues',
      `one that calls ${what}`,
      'Do it before or after device.capture().',
    );
  }
}
