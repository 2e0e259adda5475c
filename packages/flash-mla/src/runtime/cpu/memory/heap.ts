import { OutOfMemoryError } from '@flash-mla/core';
import { FreeList, type Span } from './free-list.ts';

/** Device memory that a tensor or a workspace owns. */
export interface CpuBuffer extends Span {
  /**
   * 0 in the device's memory. Else the buffer lies elsewhere in the process, where WebAssembly does not reach it, so
   * many bytes from the beginning of the device's memory; its `address` is 0.
   */
  readonly base: number;
  /** What the owner asked for; {@link Span.byteLength} is rounded up. */
  readonly byteLength: number;
  readonly span: Span;
  /** Ticket of the last work that uses it. */
  lastUse: number;
}

/** The memory that a heap manages. */
export interface HeapMemory {
  readonly memoryBytes: number;
  /** Tickets of work, see Executor. */
  readonly issued: number;
  readonly retired: number;
  reserve(byteLength: number): boolean;
}

/** Vectors do not straddle cache lines, and neighbours do not share one. */
const alignment = 64;
/** The memory grows by at least this, so that many small tensors do not grow it one by one. */
const growth = 1 << 20;

/**
 * Allocates from the one memory of a device. What is released while work is pending becomes free when
 * that work is done.
 */
export class Heap {
  readonly #memory: HeapMemory;
  readonly #free: FreeList;
  #released: { span: Span; ticket: number }[] = [];

  constructor(memory: HeapMemory, base: number) {
    this.#memory = memory;
    this.#free = new FreeList(base);
    this.#free.grow(memory.memoryBytes);
  }

  /** Throws {@link OutOfMemoryError}. */
  allocate(byteLength: number): CpuBuffer {
    const rounded = Math.max(alignment, Math.ceil(byteLength / alignment) * alignment);
    const span = this.#free.take(rounded) ?? this.#grow(rounded);
    if (!span) {
      throw new OutOfMemoryError(
        'cpu',
        byteLength,
        this.#free.freeBytes,
        'Dispose of tensors, or await device.synchronize() so that memory in use by pending work ' +
          'comes back. The WebAssembly memory of a device holds 4 GiB at most.',
      );
    }
    return { address: span.address, base: 0, byteLength, span, lastUse: 0 };
  }

  /** Frees memory once all work issued so far is done. */
  release(buffer: CpuBuffer): void {
    this.#released.push({ span: buffer.span, ticket: this.#memory.issued });
    this.collect();
  }

  /** Makes free what no pending work uses any more. */
  collect(): void {
    const { retired } = this.#memory;
    let count = 0;
    for (const { span, ticket } of this.#released) {
      if (ticket > retired) break;
      this.#free.give(span);
      count++;
    }
    if (count > 0) this.#released = this.#released.slice(count);
  }

  #grow(byteLength: number): Span | undefined {
    const missing = this.#free.missing(byteLength);
    const { end } = this.#free;
    if (!this.#memory.reserve(end + Math.max(missing, growth))) {
      if (!this.#memory.reserve(end + missing)) return undefined;
    }
    this.#free.grow(this.#memory.memoryBytes);
    return this.#free.take(byteLength);
  }
}
