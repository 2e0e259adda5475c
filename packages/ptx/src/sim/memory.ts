import { PtxError } from '../errors.ts';

/** A block of simulated global memory. */
export interface Allocation {
  readonly base: number;
  readonly end: number;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Int32Array;
  /** Per word, the bytes ever written, as a mask of four bits; absent when not tracked. */
  readonly written: Uint8Array | undefined;
  /** Per word, the serial number of the CTA that wrote it last in this launch … */
  writer: Uint32Array | undefined;
  /** … and its warp (5 bits) and that warp's clock (27 bits). */
  writerClock: Uint32Array | undefined;
}

/** A host-side access outside of what was allocated. */
export class SimMemoryError extends PtxError {
  override readonly name = 'SimMemoryError';
}

/** Options of {@link SimMemory}. */
export interface SimMemoryOptions {
  /** Capacity in bytes; allocating beyond it fails. 16 GiB unless given. */
  readonly capacity?: number;
  /** Report kernels that read bytes which neither host nor device wrote; on by default. */
  readonly trackUnwritten?: boolean;
}

const guard = 4096;
const alignment = 512;

/**
 * The global memory of a simulated device: allocations at 64-bit addresses with unmapped gaps
 * between them. Addresses are never reused, so that a stale pointer is always found out.
 */
export class SimMemory {
  /** Sorted by address. */
  readonly #allocations: Allocation[] = [];
  readonly #capacity: number;
  readonly #track: boolean;
  readonly #mapped = new Set<Allocation>();
  readonly #freed: { base: number; end: number }[] = [];
  #next = 0x7f00_0000_0000;
  #used = 0;
  /** Serial number of the next CTA, counted over all launches. */
  nextSerial = 1;

  constructor(options: SimMemoryOptions = {}) {
    this.#capacity = options.capacity ?? 16 * 2 ** 30;
    this.#track = options.trackUnwritten ?? true;
  }

  /** Bytes allocated at present, and the capacity. */
  get usage(): { used: number; capacity: number } {
    return { used: this.#used, capacity: this.#capacity };
  }

  /**
   * Allocates memory, aligned to 512 bytes, and gives its address.
   * @throws SimMemoryError when the capacity does not suffice.
   */
  alloc(size: number): bigint {
    if (!Number.isSafeInteger(size) || size <= 0) {
      throw new SimMemoryError(`an allocation needs a positive number of bytes, not ${size}`);
    }
    const rounded = Math.ceil(size / 16) * 16;
    if (this.#used + size > this.#capacity) {
      throw new SimMemoryError(
        `out of memory: ${size} bytes requested, ${this.#capacity - this.#used} of ${this.#capacity} free`,
      );
    }
    const base = this.#next;
    this.#next = Math.ceil((base + rounded + guard) / alignment) * alignment;
    this.#used += size;
    const buffer = new ArrayBuffer(rounded);
    this.#allocations.push({
      base,
      end: base + size,
      size,
      bytes: new Uint8Array(buffer),
      halves: new Uint16Array(buffer),
      words: new Int32Array(buffer),
      written: this.#track ? new Uint8Array(rounded / 4) : undefined,
      writer: undefined,
      writerClock: undefined,
    });
    return BigInt(base);
  }

  /**
   * Memory of the host that the device reaches: zeros, which count as written, and beside the capacity.
   * The bytes are the memory itself.
   */
  mapHost(size: number): Allocation {
    const used = this.#used;
    this.#used = Math.min(0, this.#capacity - size);
    const address = this.alloc(size);
    this.#used = used;
    const { allocation } = this.#range(address, size);
    markWritten(allocation, 0, size);
    this.#mapped.add(allocation);
    return allocation;
  }

  /** Allocates and fills with a copy of `data`. */
  allocFrom(data: ArrayBufferView): bigint {
    const address = this.alloc(Math.max(1, data.byteLength));
    this.write(address, data);
    return address;
  }

  /** Calls `note` with where a range lies. Throws as an access of the host would. */
  locate(
    address: number | bigint,
    length: number,
    note: (allocation: Allocation, offset: number) => void,
  ): void {
    const { allocation, offset } = this.#range(address, length);
    note(allocation, offset);
  }

  /** Frees an allocation by its first address. */
  free(address: number | bigint): void {
    const base = Number(address);
    const index = this.#allocations.findIndex((a) => a.base === base);
    if (index < 0) throw new SimMemoryError(`0x${base.toString(16)} is not an allocation's start`);
    const [allocation] = this.#allocations.splice(index, 1);
    const { end, size } = allocation;
    if (!this.#mapped.delete(allocation)) this.#used -= size;
    this.#freed.push({ base, end });
    if (this.#freed.length > 256) this.#freed.shift();
  }

  /** Copies from the host. */
  write(address: number | bigint, data: ArrayBufferView): void {
    const { allocation, offset } = this.#range(address, data.byteLength);
    allocation.bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    markWritten(allocation, offset, data.byteLength);
  }

  /** Fills bytes. */
  fill(address: number | bigint, value: number, length: number): void {
    const { allocation, offset } = this.#range(address, length);
    allocation.bytes.fill(value, offset, offset + length);
    markWritten(allocation, offset, length);
  }

  /** Copies to the host. */
  read(address: number | bigint, length: number): Uint8Array<ArrayBuffer> {
    const { allocation, offset } = this.#range(address, length);
    return allocation.bytes.slice(offset, offset + length) as Uint8Array<ArrayBuffer>;
  }

  /** Copies within the device; the ranges may overlap. */
  copy(to: number | bigint, from: number | bigint, length: number): void {
    this.write(to, this.read(from, length));
  }

  /** The allocation that holds all of [address, address + length), if any. */
  find(address: number, length: number): Allocation | undefined {
    let low = 0;
    let high = this.#allocations.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const allocation = this.#allocations[middle];
      if (address < allocation.base) high = middle - 1;
      else if (address >= allocation.end) low = middle + 1;
      else return address + length <= allocation.end ? allocation : undefined;
    }
    return undefined;
  }

  /** Says where an address lies that no allocation holds. */
  describe(address: number, length: number): string {
    const inside = (r: { base: number; end: number }) => address >= r.base && address < r.end;
    const hex = (n: number) => `0x${n.toString(16)}`;
    const partly = this.#allocations.find(inside);
    if (partly !== undefined) {
      return `${length} bytes starting ${partly.end - address} bytes before the end of the ${partly.size}-byte allocation at ${hex(partly.base)}`;
    }
    const stale = this.#freed.find(inside);
    if (stale !== undefined) return `in memory that was freed (${hex(stale.base)})`;
    const before = this.#allocations.filter((a) => a.end <= address).at(-1);
    const after = this.#allocations.find((a) => a.base > address);
    const past = before === undefined ? Infinity : address - before.end;
    const short = after === undefined ? Infinity : after.base - address;
    if (Math.min(past, short) > 2 ** 32) return 'far from any allocation';
    return past <= short && before !== undefined
      ? `${past} bytes past the end of the ${before.size}-byte allocation at ${hex(before.base)}`
      : `${short} bytes before the ${after?.size}-byte allocation at ${hex(after?.base ?? 0)}`;
  }

  #range(address: number | bigint, length: number) {
    const start = Number(address);
    const allocation = this.find(start, Math.max(length, 1));
    if (allocation === undefined) {
      throw new SimMemoryError(
        `host access to ${length} bytes at 0x${start.toString(16)}: ${this.describe(start, length)}`,
      );
    }
    return { allocation, offset: start - allocation.base };
  }
}

/** Notes that the bytes [offset, offset + length) have been written. */
export function markWritten(allocation: Allocation, offset: number, length: number): void {
  const { written } = allocation;
  if (written === undefined || length === 0) return;
  const first = Math.ceil(offset / 4);
  const end = Math.floor((offset + length) / 4);
  if (end > first) written.fill(15, first, end);
  for (let b = offset; b < Math.min(first * 4, offset + length); b++)
    written[b >> 2] |= 1 << (b & 3);
  for (let b = Math.max(end * 4, offset); b < offset + length; b++) written[b >> 2] |= 1 << (b & 3);
}
