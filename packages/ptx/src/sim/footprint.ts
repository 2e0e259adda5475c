/** Memory that accesses are noted for: an allocation, or host memory. */
export interface Touched {
  readonly base: number;
  /** In bytes. */
  readonly size: number;
}

/** Two accesses to one byte, of which at least one writes. */
export interface Overlap {
  readonly memory: Touched;
  /** The first byte, counted from the start of the memory, and how many there are in its word. */
  readonly offset: number;
  readonly bytes: number;
  /** Whether the one and the other write it; else it is read. */
  readonly writes: readonly [boolean, boolean];
}

/** Words of a chunk: marks are kept for what is touched, not for all of a large allocation. */
const chunkWords = 4096;
const chunkShift = 12;
const writtenShift = 4;

/**
 * Which bytes a piece of work has read and written: a byte for each word of memory, whose low four bits
 * are the bytes read and whose high four bits those written.
 */
export class Footprint {
  readonly #memories = new Map<Touched, (Uint8Array | undefined)[]>();
  #last: Touched | undefined;
  #chunks: (Uint8Array | undefined)[] = [];

  /** Notes that bytes are read. */
  read(memory: Touched, offset: number, size: number): void {
    this.#mark(memory, offset, size, 0);
  }

  /** Notes that bytes are written. An atomic operation counts as a write. */
  write(memory: Touched, offset: number, size: number): void {
    this.#mark(memory, offset, size, writtenShift);
  }

  /** The first byte that this work and the other both touch and one of them writes. */
  overlap(other: Footprint): Overlap | undefined {
    for (const [memory, chunks] of this.#memories) {
      const others = other.#memories.get(memory);
      if (others === undefined) continue;
      for (const [index, mine] of chunks.entries()) {
        const theirs = others[index];
        if (mine === undefined || theirs === undefined) continue;
        for (let i = 0; i < chunkWords; i++) {
          const [a, b] = [mine[i], theirs[i]];
          if (a === 0 || b === 0) continue;
          const clash =
            ((a >> writtenShift) & (b | (b >> writtenShift))) | ((b >> writtenShift) & a);
          if ((clash & 15) === 0) continue;
          const first = 31 - Math.clz32(clash & -clash);
          const bit = 1 << (first + writtenShift);
          return {
            memory,
            offset: (index * chunkWords + i) * 4 + first,
            bytes: [0, 1, 2, 3].filter((n) => ((clash >> n) & 1) !== 0).length,
            writes: [(a & bit) !== 0, (b & bit) !== 0],
          };
        }
      }
    }
    return undefined;
  }

  #mark(memory: Touched, offset: number, size: number, shift: number): void {
    if (memory !== this.#last) this.#find(memory);
    const chunks = this.#chunks;
    for (let at = offset; at < offset + size; ) {
      const word = Math.floor(at / 4);
      const index = word >>> chunkShift;
      let chunk = chunks[index];
      if (chunk === undefined) {
        chunk = new Uint8Array(chunkWords);
        chunks[index] = chunk;
      }
      const from = at & 3;
      const to = Math.min(4, from + offset + size - at);
      chunk[word & (chunkWords - 1)] |= (((1 << to) - 1) & ~((1 << from) - 1)) << shift;
      at += to - from;
    }
  }

  #find(memory: Touched): void {
    let chunks = this.#memories.get(memory);
    if (chunks === undefined) {
      chunks = [];
      this.#memories.set(memory, chunks);
    }
    this.#last = memory;
    this.#chunks = chunks;
  }
}
