import type { Block, DeviceMemoryPool, MemorySource } from './device-pool.ts';

/**
 * An allocator without a cache: every block is memory of its own, of exactly the size asked for, so
 * that a simulator or sanitizer sees each access beyond it.
 */
export class ExactPool implements DeviceMemoryPool {
  readonly #source: MemorySource;
  /** What was given back while it must stay allocated, because a graph uses it. */
  #held: Block[] | undefined;
  readonly #owned = new Set<Block>();
  #reserved = 0;
  #heir: DeviceMemoryPool | undefined;

  constructor(source: MemorySource, hold: boolean) {
    this.#source = source;
    this.#held = hold ? [] : undefined;
  }

  get reserved(): number {
    return this.#reserved;
  }

  take(bytes: number): Block {
    const size = Math.max(1, bytes);
    const address = this.#source.allocate(size);
    this.#reserved += size;
    const block = { address, bytes: size, slab: undefined };
    this.#owned.add(block);
    return block;
  }

  give(block: Block): void {
    if (this.#heir) this.#heir.give(block);
    else if (this.#held) this.#held.push(block);
    else {
      this.#source.free(block.address);
      this.#owned.delete(block);
      this.#reserved -= block.bytes;
    }
  }

  trim(): void {}

  mergeInto(other: ExactPool): void {
    this.#heir = other;
    other.#reserved += this.#reserved;
    this.#reserved = 0;
    for (const block of this.#owned) other.#owned.add(block);
    this.#owned.clear();
    for (const block of this.#held ?? []) other.give(block);
    this.#held = undefined;
  }

  destroy(): void {
    for (const { address } of this.#owned) this.#source.free(address);
    this.#owned.clear();
    this.#reserved = 0;
  }
}
