import type { Address } from '../driver/driver.ts';

/** Where a pool gets its memory. `allocate` throws when there is none. */
export interface MemorySource {
  allocate(bytes: number): Address;
  free(address: Address): void;
}

/** A piece of device memory. */
export interface Block {
  readonly address: Address;
  /** At least what was asked for. */
  readonly bytes: number;
  readonly slab: Slab | undefined;
}

/** What hands out device memory in stream order. */
export interface DeviceMemoryPool {
  /** Bytes taken from the source. */
  readonly reserved: number;
  /** Throws what the source throws. */
  take(bytes: number): Block;
  give(block: Block): void;
  /** Gives everything that is free back to the source. */
  trim(): void;
  /** Hands all memory over, free and taken, to a pool of the same kind and forwards to it. */
  mergeInto(other: this): void;
  /** Gives everything back to the source, taken or not. */
  destroy(): void;
}

interface Slab {
  readonly address: Address;
  used: number;
  live: number;
}

const slabBytes = 2 ** 21;
/** Larger blocks get memory of their own. */
const largestSmall = 2 ** 20;
/** What PTX and the tensor copy engine want of an address, and the driver gives. */
const granularity = 512;
/** A large block serves a request that leaves at most this share of it unused. */
const wasteShare = 1 / 8;

/**
 * A caching allocator for one stream. A block that is given back may be taken at once: work runs in
 * the order of enqueueing, so whatever used it before is done by then.
 *
 * Small blocks come in sizes of four steps per power of two, cut from slabs; large ones are rounded
 * up to 2 MiB and reused for requests of nearly their size.
 */
export class DevicePool implements DeviceMemoryPool {
  readonly #source: MemorySource;
  /** Free small blocks by size. */
  readonly #small = new Map<number, Block[]>();
  /** Free large blocks, smallest first. */
  readonly #large: Block[] = [];
  readonly #slabs = new Set<Slab>();
  /** All large blocks, free and taken. */
  readonly #owned = new Set<Block>();
  #open: Slab | undefined;
  #reserved = 0;
  #heir: DevicePool | undefined;

  constructor(source: MemorySource) {
    this.#source = source;
  }

  get reserved(): number {
    return this.#reserved;
  }

  take(bytes: number): Block {
    return bytes <= largestSmall ? this.#takeSmall(bytes) : this.#takeLarge(bytes);
  }

  give(block: Block): void {
    if (this.#heir) {
      this.#heir.give(block);
      return;
    }
    if (block.slab) {
      block.slab.live--;
      this.#listOf(block.bytes).push(block);
    } else {
      this.#insertLarge(block);
    }
  }

  trim(): void {
    for (const block of this.#large.splice(0)) {
      this.#owned.delete(block);
      this.#free(block.address, block.bytes);
    }
    for (const [size, blocks] of this.#small) {
      const kept = blocks.filter((block) => block.slab !== undefined && block.slab.live > 0);
      this.#small.set(size, kept);
    }
    for (const slab of this.#slabs) {
      if (slab.live > 0) continue;
      this.#slabs.delete(slab);
      if (this.#open === slab) this.#open = undefined;
      this.#free(slab.address, slabBytes);
    }
  }

  mergeInto(other: DevicePool): void {
    this.#heir = other;
    for (const block of this.#large.splice(0)) other.#insertLarge(block);
    for (const [size, blocks] of this.#small) other.#listOf(size).push(...blocks);
    for (const slab of this.#slabs) other.#slabs.add(slab);
    for (const block of this.#owned) other.#owned.add(block);
    other.#reserved += this.#reserved;
    this.#forget();
  }

  destroy(): void {
    for (const { address } of this.#slabs) this.#source.free(address);
    for (const { address } of this.#owned) this.#source.free(address);
    this.#forget();
  }

  #forget(): void {
    this.#small.clear();
    this.#large.length = 0;
    this.#slabs.clear();
    this.#owned.clear();
    this.#open = undefined;
    this.#reserved = 0;
  }

  #takeSmall(bytes: number): Block {
    const size = smallSize(bytes);
    const free = this.#listOf(size).pop();
    const block = free ?? this.#cut(size);
    if (block.slab) block.slab.live++;
    return block;
  }

  #cut(size: number): Block {
    let slab = this.#open;
    if (slab === undefined || slab.used + size > slabBytes) {
      slab = { address: this.#allocate(slabBytes), used: 0, live: 0 };
      this.#slabs.add(slab);
      this.#open = slab;
    }
    const block = { address: slab.address + slab.used, bytes: size, slab };
    slab.used += size;
    return block;
  }

  #takeLarge(bytes: number): Block {
    const size = Math.ceil(bytes / slabBytes) * slabBytes;
    const at = this.#firstLarge(size);
    const found = this.#large[at];
    if (found && found.bytes - size <= found.bytes * wasteShare) {
      this.#large.splice(at, 1);
      return found;
    }
    const block = { address: this.#allocate(size), bytes: size, slab: undefined };
    this.#owned.add(block);
    return block;
  }

  #insertLarge(block: Block): void {
    this.#large.splice(this.#firstLarge(block.bytes), 0, block);
  }

  /** Index of the smallest free block of at least this size. */
  #firstLarge(bytes: number): number {
    const at = this.#large.findIndex((block) => block.bytes >= bytes);
    return at < 0 ? this.#large.length : at;
  }

  #listOf(size: number): Block[] {
    let list = this.#small.get(size);
    if (list === undefined) {
      list = [];
      this.#small.set(size, list);
    }
    return list;
  }

  #allocate(bytes: number): Address {
    const address = this.#source.allocate(bytes);
    this.#reserved += bytes;
    return address;
  }

  #free(address: Address, bytes: number): void {
    this.#source.free(address);
    this.#reserved -= bytes;
  }
}

/** The next of four steps per power of two, at least one granule. */
function smallSize(bytes: number): number {
  if (bytes <= 4 * granularity) return Math.max(1, Math.ceil(bytes / granularity)) * granularity;
  const step = 1 << (29 - Math.clz32(bytes - 1));
  return Math.ceil(bytes / step) * step;
}
