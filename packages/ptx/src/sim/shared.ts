import { sharedBase } from '../builder/shared.ts';
import { bankPasses, type Counters } from './counters.ts';
import type { Access, Combine, SharedSpace, Site } from './machine.ts';
import { RaceRecord, wholeWarp } from './races.ts';
import type { SimWarp } from './warp.ts';

/** A word whose four bytes have been written and that no copy is on its way to. */
const ready = 15;
/** Asynchronous copies on their way are counted above the four bits of written bytes. */
const onePending = 16;

/** The shared memory of a CTA. */
export class SharedMemory implements SharedSpace {
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #size: number;
  readonly #counters: Counters;
  /** Per word: bytes written since the CTA started (four bits), and copies on their way. */
  readonly #state: Uint8Array;
  readonly #races: RaceRecord | undefined;
  /** What synchronising accesses have published at an address. */
  readonly #published = new Map<number, Uint32Array>();
  readonly #starts = new Int32Array(32);

  constructor(size: number, warps: number, races: boolean, counters: Counters) {
    this.#size = size;
    this.#counters = counters;
    this.words = new Int32Array(Math.ceil(size / 4));
    this.#bytes = new Uint8Array(this.words.buffer);
    this.#halves = new Uint16Array(this.words.buffer);
    this.#state = new Uint8Array(this.words.length);
    this.#races = races ? new RaceRecord(this.words.length, warps) : undefined;
  }

  /** Makes the memory as new for the next CTA. */
  reset(): void {
    this.#state.fill(0);
    this.#races?.nextPhase();
    this.#published.clear();
  }

  /** All warps of the CTA have synchronised. */
  synchronised(): void {
    this.#races?.nextPhase();
  }

  load(w: SimWarp, access: Access, mask: number): void {
    const { site, bytes, count, data, strong } = access;
    const size = bytes * count;
    const { I } = w;
    const { words } = this;
    let lanes = 0;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const at = this.#locate(w, site, lane, I[access.address + lane] + access.offset, size);
      const first = at >> 2;
      this.#starts[lanes++] = first;
      if (strong) this.#acquire(w, at);
      if (bytes < 4) {
        this.#loadParts(w, access, lane, at);
        continue;
      }
      for (let i = 0; i < size >> 2; i++) {
        this.#read(w, site, lane, first + i, 15, strong);
        const register = bytes === 4 ? data[i] : data[i >> 1] + (i & 1) * 32;
        I[register + lane] = words[first + i];
      }
    }
    this.#counters.sharedLoadBytes += lanes * size;
    this.#count(lanes, size);
  }

  #loadParts(w: SimWarp, access: Access, lane: number, at: number): void {
    const { site, bytes, count, data, strong } = access;
    const each = (1 << bytes) - 1;
    const shift = 32 - bytes * 8;
    for (let i = 0; i < count; i++) {
      const byte = at + i * bytes;
      this.#read(w, site, lane, byte >> 2, each << (byte & 3), strong);
      const raw = bytes === 1 ? this.#bytes[byte] : this.#halves[byte >> 1];
      w.I[data[i] + lane] = access.signed ? (raw << shift) >> shift : raw;
    }
  }

  store(w: SimWarp, access: Access, mask: number): void {
    const { site, bytes, count, data, strong } = access;
    const size = bytes * count;
    const { I } = w;
    const { words } = this;
    let lanes = 0;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const at = this.#locate(w, site, lane, I[access.address + lane] + access.offset, size);
      const first = at >> 2;
      this.#starts[lanes++] = first;
      if (bytes < 4) this.#storeParts(w, access, lane, at);
      else {
        for (let i = 0; i < size >> 2; i++) {
          const register = bytes === 4 ? data[i] : data[i >> 1] + (i & 1) * 32;
          const value = I[register + lane];
          this.#write(w, site, lane, first + i, 15, strong, words[first + i] === value);
          words[first + i] = value;
        }
      }
      if (strong) this.#publish(w, at);
    }
    w.progressed();
    this.#counters.sharedStoreBytes += lanes * size;
    this.#count(lanes, size);
  }

  #storeParts(w: SimWarp, access: Access, lane: number, at: number): void {
    const { site, bytes, count, data, strong } = access;
    const memory = bytes === 1 ? this.#bytes : this.#halves;
    const each = (1 << bytes) - 1;
    for (let i = 0; i < count; i++) {
      const byte = at + i * bytes;
      const index = bytes === 1 ? byte : byte >> 1;
      const before = memory[index];
      memory[index] = w.I[data[i] + lane];
      const same = memory[index] === before;
      this.#write(w, site, lane, byte >> 2, each << (byte & 3), strong, same);
    }
  }

  atomic(w: SimWarp, access: Access, mask: number, combine: Combine, result: number): void {
    const { site, bytes, data } = access;
    const { I } = w;
    const [a = 0, b = 0] = data;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const at = this.#locate(w, site, lane, I[access.address + lane] + access.offset, bytes);
      const word = at >> 2;
      this.#acquire(w, at);
      for (let i = 0; i < bytes >> 2; i++) {
        this.#read(w, site, lane, word + i, 15, true);
        this.#write(w, site, lane, word + i, 15, true, true);
        oldWords[i] = this.words[word + i];
        firstOperand[i] = I[a + i * 32 + lane];
        secondOperand[i] = I[b + i * 32 + lane];
      }
      combine(newWords, oldWords, firstOperand, secondOperand);
      for (let i = 0; i < bytes >> 2; i++) {
        if (newWords[i] !== oldWords[i]) w.progressed();
        this.words[word + i] = newWords[i];
        if (result >= 0) I[result + i * 32 + lane] = oldWords[i];
      }
      this.#publish(w, at);
      this.#counters.atomicOperations++;
    }
  }

  row(w: SimWarp, site: Site, lane: number, address: number, write: boolean): number {
    const word = this.#locate(w, site, lane, address, 16) >> 2;
    for (let i = word; i < word + 4; i++) {
      if (write) this.#write(w, site, wholeWarp, i, 15, false, false);
      else this.#read(w, site, wholeWarp, i, 15, false);
    }
    if (write) {
      w.progressed();
      this.#counters.sharedStoreBytes += 16;
    } else {
      this.#counters.sharedLoadBytes += 16;
    }
    return word;
  }

  countRows(rows: Int32Array, count: number): void {
    const { passes, conflicts } = bankPasses(rows, count, 16);
    this.#counters.sharedPasses += passes;
    this.#counters.sharedConflicts += conflicts;
  }

  /** An asynchronous copy begins: nobody may touch its destination until it has landed. */
  beginCopy(w: SimWarp, site: Site, lane: number, address: number, size: number): number {
    const first = this.#locate(w, site, lane, address, size) >> 2;
    for (let i = first; i < first + (size >> 2); i++) {
      this.#write(w, site, lane, i, 15, false, false);
      this.#state[i] += onePending;
    }
    return first;
  }

  /** Words of an asynchronous copy land; `written` has four bits for each. */
  endCopy(
    w: SimWarp,
    lane: number,
    first: number,
    count: number,
    data: Int32Array,
    written: Uint8Array,
  ): void {
    for (let i = 0; i < count; i++) {
      this.words[first + i] = data[i];
      this.#state[first + i] = ((this.#state[first + i] - onePending) & ~15) | written[i];
      this.#races?.record(w, lane, first + i, 15, false);
    }
    w.progressed();
    this.#counters.sharedStoreBytes += count * 4;
  }

  #count(lanes: number, size: number): void {
    const { passes, conflicts } = bankPasses(this.#starts, lanes, size);
    this.#counters.sharedPasses += passes;
    this.#counters.sharedConflicts += conflicts;
  }

  /** Offset in the window of an address that `size` bytes may be accessed at. */
  #locate(w: SimWarp, site: Site, lane: number, address: number, size: number): number {
    const at = (address >>> 0) - sharedBase;
    if (at < 0 || at + size > this.#size) {
      const problem = `${size} bytes at offset ${at} of the CTA's ${this.#size} bytes of shared memory`;
      w.fault('out of bounds', site, problem, lane, at);
    }
    if ((at & (size - 1)) !== 0) {
      w.fault('misaligned', site, `${size} bytes at offset ${at} of shared memory`, lane, at);
    }
    return at;
  }

  #read(w: SimWarp, site: Site, lane: number, word: number, bytes: number, strong: boolean): void {
    const state = this.#state[word];
    if (state !== ready) this.#checkReadable(w, site, lane, word, bytes, state);
    this.#races?.read(w, site, lane, word, bytes, strong);
  }

  #checkReadable(
    w: SimWarp,
    site: Site,
    lane: number,
    word: number,
    bytes: number,
    state: number,
  ): void {
    const who = lane === wholeWarp ? undefined : lane;
    if (state >= onePending) {
      const problem =
        'reads what an asynchronous copy has not delivered yet; wait for its group and synchronise first';
      w.fault('pending copy', site, problem, who, word * 4);
    }
    if ((state & bytes) !== bytes) {
      w.fault('uninitialised read', site, 'nobody wrote this shared memory', who, word * 4);
    }
  }

  #write(
    w: SimWarp,
    site: Site,
    lane: number,
    word: number,
    bytes: number,
    strong: boolean,
    same: boolean,
  ): void {
    const state = this.#state[word];
    if (state >= onePending) {
      const problem = 'writes where an asynchronous copy will still deliver data';
      w.fault('pending copy', site, problem, lane, word * 4);
    }
    this.#races?.write(w, site, lane, word, bytes, strong, same && (state & bytes) === bytes);
    this.#state[word] = state | bytes;
  }

  /** A synchronising read sees what was published at this address. */
  #acquire(w: SimWarp, at: number): void {
    const published = this.#races && this.#published.get(at);
    if (published !== undefined) w.join(published);
  }

  /** A synchronising write publishes all that the warp has seen and done. */
  #publish(w: SimWarp, at: number): void {
    if (this.#races === undefined) return;
    this.#published.set(at, w.clock.slice());
    w.clock[w.id]++;
  }
}

const oldWords = new Int32Array(2);
const newWords = new Int32Array(2);
const firstOperand = new Int32Array(2);
const secondOperand = new Int32Array(2);
