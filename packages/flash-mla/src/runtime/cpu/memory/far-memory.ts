import type { CpuBuffer, HeapMemory } from './heap.ts';

/** Memory of the process that WebAssembly does not reach, for machine code. */
export interface FarPages {
  /** Where an array's content lies. */
  addressOf(bytes: Uint8Array): bigint;
  /** Pages of zeros, in large ones where the system has them. Undefined: there are not so many. */
  map(byteLength: number): bigint | undefined;
  unmap(address: bigint, byteLength: number): void;
  /** Its content, to be used at once. */
  view(address: bigint, byteLength: number): Uint8Array;
}

/** Offsets in a buffer are numbers of 32 bits to the kernels. */
const mostBytes = 2 ** 32 - 65536;

/**
 * Buffers outside the device's memory, of which there may be more than WebAssembly can address. Machine code
 * reads them where they lie; whatever else works on one works on a copy.
 */
export class FarMemory {
  readonly #pages: FarPages;
  readonly #memory: Pick<HeapMemory, 'issued' | 'retired'>;
  /** Where the device's memory begins in the process: it stays there when it grows. */
  readonly #origin: bigint;
  readonly #live = new Set<CpuBuffer>();
  #released: { buffer: CpuBuffer; ticket: number }[] = [];
  #bytes = 0;

  constructor(
    pages: FarPages,
    memory: WebAssembly.Memory,
    work: Pick<HeapMemory, 'issued' | 'retired'>,
  ) {
    this.#pages = pages;
    this.#memory = work;
    this.#origin = pages.addressOf(new Uint8Array(memory.buffer));
  }

  /** Bytes that are mapped. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Undefined where the system has not so much, or for more than 4 GiB at once. */
  allocate(byteLength: number): CpuBuffer | undefined {
    if (byteLength > mostBytes) return undefined;
    const address = this.#pages.map(byteLength);
    if (address === undefined) return undefined;
    const base = Number(address - this.#origin);
    const buffer = {
      address: 0,
      base,
      byteLength,
      span: { address: 0, byteLength: 0 },
      lastUse: 0,
    };
    this.#live.add(buffer);
    this.#bytes += byteLength;
    return buffer;
  }

  /** Writes now: no work may be under way that uses these bytes. */
  write(buffer: CpuBuffer, byteOffset: number, bytes: Uint8Array): void {
    const address = this.#addressOf(buffer) + BigInt(byteOffset);
    this.#pages.view(address, bytes.byteLength).set(bytes);
  }

  /** Gives a buffer back once all work issued so far is done. */
  release(buffer: CpuBuffer): void {
    this.#released.push({ buffer, ticket: this.#memory.issued });
    this.collect();
  }

  /** Gives back what no pending work uses any more. */
  collect(): void {
    const { retired } = this.#memory;
    const done = this.#released.filter(({ ticket }) => ticket <= retired);
    if (done.length === 0) return;
    this.#released = this.#released.filter(({ ticket }) => ticket > retired);
    for (const { buffer } of done) this.#unmap(buffer);
  }

  /** Gives everything back: no thread may work any more. */
  close(): void {
    this.#released = [];
    for (const buffer of [...this.#live]) this.#unmap(buffer);
  }

  #addressOf({ base }: CpuBuffer): bigint {
    return this.#origin + BigInt(base);
  }

  #unmap(buffer: CpuBuffer): void {
    if (!this.#live.delete(buffer)) return;
    this.#pages.unmap(this.#addressOf(buffer), buffer.byteLength);
    this.#bytes -= buffer.byteLength;
  }
}
