import { sharedBase } from '../builder/shared.ts';
import { clusterShift } from './addresses.ts';
import { bankPasses, type Counters } from './counters.ts';
import type { SimCta } from './cta.ts';
import type { Knowledge } from './knowledge.ts';
import type { Access, Combine, SharedSpace, Site } from './machine.ts';
import { type LastWrites, RaceRecord, wholeWarp } from './races.ts';
import type { SimWarp } from './warp.ts';

// What is known about a word: the bytes written since the CTA started, …
/** All four, and nothing else. */
const ready = 15;
/** … copies on their way to it, … */
const onePending = 1 << 4;
const pendingBits = 15 << 4;
/** … copies and matrix instructions that still read it, … */
const oneReader = 1 << 8;
const readerBits = 127 << 8;
/** … and whether a memory barrier lives there. */
const barrierBit = 1 << 15;

/** The shared memory of a CTA. */
export class SharedMemory implements SharedSpace {
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #size: number;
  readonly #counters: Counters;
  readonly #cta: SimCta;
  readonly #state: Uint16Array;
  readonly #races: RaceRecord | undefined;
  /** What synchronising accesses have published at an address. */
  readonly #published = new Map<number, Knowledge>();
  readonly #starts = new Int32Array(32);
  /** Where the window starts in the addresses in use: another one while peers look into it. */
  #base = sharedBase;

  constructor(cta: SimCta) {
    const { sharedBytes: size, counters, races } = cta.launch;
    this.#cta = cta;
    this.#size = size;
    this.#counters = counters;
    this.words = new Int32Array(Math.ceil(size / 4));
    this.#bytes = new Uint8Array(this.words.buffer);
    this.#halves = new Uint16Array(this.words.buffer);
    this.#state = new Uint16Array(this.words.length);
    const { warpCount, firstSlot } = cta;
    this.#races = races
      ? new RaceRecord(this.words.length, warpCount, firstSlot, (slot) => cta.nameOf(slot))
      : undefined;
  }

  /** Makes the memory as new for the next CTA. */
  reset(): void {
    this.#state.fill(0);
    this.#races?.nextPhase();
    this.#published.clear();
  }

  /** All warps of the CTA have synchronised, and nobody else has ever accessed its memory. */
  synchronised(): void {
    this.#races?.nextPhase();
  }

  /** Runs `access` with addresses that name this CTA of the cluster. */
  seenFromCluster(access: () => void): void {
    this.#base = sharedBase + ((this.#cta.rank + 1) << clusterShift);
    access();
    this.#base = sharedBase;
  }

  load(w: SimWarp, access: Access, mask: number): void {
    const { site, bytes, count, data, strong } = access;
    const size = bytes * count;
    const { I } = w;
    const { words } = this;
    let lanes = 0;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const at = this.locate(w, site, lane, I[access.address + lane] + access.offset, size);
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
      const at = this.locate(w, site, lane, I[access.address + lane] + access.offset, size);
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
      const at = this.locate(w, site, lane, I[access.address + lane] + access.offset, bytes);
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
    const word = this.locate(w, site, lane, address, 16) >> 2;
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
    const first = this.locate(w, site, lane, address, size) >> 2;
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
  locate(w: SimWarp, site: Site, lane: number, address: number, size: number): number {
    const at = (address >>> 0) - this.#base;
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
    if ((state & pendingBits) !== 0) {
      const copy = this.#cta.copyTo(word);
      const problem = `reads what ${copy} has not delivered yet; wait for it and synchronise first`;
      w.fault('pending copy', site, problem, who, word * 4);
    }
    if ((state & barrierBit) !== 0) this.#faultBarrier(w, site, who, word, 'reads');
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
    if (state >= onePending) this.#checkWritable(w, site, lane, word, state);
    this.#races?.write(w, site, lane, word, bytes, strong, same && (state & bytes) === bytes);
    this.#state[word] = state | bytes;
  }

  #checkWritable(w: SimWarp, site: Site, lane: number, word: number, state: number): void {
    const who = lane === wholeWarp ? undefined : lane;
    if ((state & pendingBits) !== 0) {
      const problem = `writes where ${this.#cta.copyTo(word)} will still deliver data`;
      w.fault('pending copy', site, problem, who, word * 4);
    }
    if ((state & readerBits) !== 0) {
      const problem = `overwrites what ${this.#cta.readerOf(word)} still reads`;
      w.fault('pending copy', site, problem, who, word * 4);
    }
    if ((state & barrierBit) !== 0) this.#faultBarrier(w, site, who, word, 'overwrites');
  }

  #faultBarrier(
    w: SimWarp,
    site: Site,
    lane: number | undefined,
    word: number,
    verb: string,
  ): never {
    const problem = `${verb} the memory barrier ${this.#cta.nameAt(word * 4)}, which is in use`;
    return w.fault('barrier', site, problem, lane, word * 4);
  }

  /** A barrier begins or ends its life in 8 bytes. */
  markBarrier(w: SimWarp, site: Site, lane: number, word: number, alive: boolean): void {
    for (let i = word; i < word + 2; i++) {
      if (alive) this.#write(w, site, lane, i, 15, false, false);
      // What a barrier leaves behind is nothing to read.
      this.#state[i] = alive ? this.#state[i] | barrierBit : this.#state[i] & ~barrierBit & ~15;
    }
  }

  /**
   * Something behind the warp's back (a copy, a matrix instruction) is about to read words: they must
   * be there, known to the warp, and covered by a proxy fence.
   */
  checkCopySource(
    w: SimWarp,
    site: Site,
    lane: number | undefined,
    first: number,
    count: number,
  ): void {
    for (let i = first; i < first + count; i++) {
      const state = this.#state[i];
      if ((state & ~readerBits) !== ready) {
        this.#checkReadable(w, site, lane ?? wholeWarp, i, 15, state);
      }
      if (this.#races !== undefined && !this.#races.copy(w, site, lane ?? wholeWarp, i, 'reads')) {
        this.#faultProxy(w, site, lane, i, 'reads what threads wrote');
      }
    }
  }

  /** From now on until {@link releaseSource} nobody may overwrite these words. */
  holdSource(w: SimWarp, site: Site, first: number, count: number): void {
    for (let i = first; i < first + count; i++) {
      if ((this.#state[i] & readerBits) === readerBits) {
        const problem =
          'is the 128th that reads this at once, which is not simulated; wait for some';
        w.fault('pending copy', site, problem, undefined, i * 4);
      }
      this.#state[i] += oneReader;
    }
  }

  releaseSource(first: number, count: number): void {
    for (let i = first; i < first + count; i++) this.#state[i] -= oneReader;
  }

  /** Who wrote these 16-byte chunks last, to be asked about other warps; undefined: not recorded. */
  lastWrites(chunks: Int32Array): LastWrites | undefined {
    return this.#races?.lastWrites(chunks);
  }

  /** Warps of a warp group have read the chunks that were held, as these clocks of theirs tell. */
  releaseRead(chunks: Int32Array, first: number, warps: number, clocks: Uint32Array): void {
    for (let i = 0; i < chunks.length; i++) this.releaseSource(chunks[i], 4);
    this.#races?.readByGroup(chunks, first, warps, clocks);
  }

  /** The warp knows now that what was held has been read. */
  readNow(w: SimWarp, site: Site, lane: number, first: number, count: number): void {
    if (this.#races === undefined) return;
    for (let i = first; i < first + count; i++) this.#races.read(w, site, lane, i, 15, false);
  }

  /** What was held has been read, as whoever knows this clock knows. */
  readBehind(slot: number, clock: number, first: number, count: number): void {
    if (this.#races === undefined) return;
    for (let i = first; i < first + count; i++) this.#races.farRead(slot, clock, i);
  }

  /** A copy that the warp starts will deliver words: nobody else may be using them. */
  beginDelivery(
    w: SimWarp,
    site: Site,
    lane: number,
    first: number,
    count: number,
    throughProxy: boolean,
  ): void {
    for (let i = first; i < first + count; i++) {
      const state = this.#state[i];
      if (state >= onePending) this.#checkWritable(w, site, lane, i, state);
      const ordered = this.#races?.copy(w, site, lane, i, 'overwrites') ?? true;
      if (throughProxy && !ordered) {
        this.#faultProxy(w, site, lane, i, 'overwrites what threads wrote');
      }
      this.#state[i] = state + onePending;
    }
  }

  /** The words are there; `written` has four bits for each. The barrier's clock tells who knows. */
  deliver(
    slot: number,
    clock: number,
    first: number,
    data: Int32Array,
    written: Uint8Array,
    count: number,
  ): void {
    this.words.set(data.subarray(0, count), first);
    for (let i = 0; i < count; i++) {
      const word = first + i;
      this.#state[word] = ((this.#state[word] - onePending) & ~15) | written[i];
      this.#races?.recordCopy(slot, clock, word);
    }
    this.#counters.sharedStoreBytes += count * 4;
  }

  #faultProxy(w: SimWarp, site: Site, lane: number | undefined, word: number, what: string): never {
    const problem = `${what} with no fenceProxyAsync between`;
    return w.fault('proxy', site, problem, lane, word * 4);
  }

  /** A synchronising read sees what was published at this address. */
  #acquire(w: SimWarp, at: number): void {
    const published = this.#races && this.#published.get(at);
    if (published !== undefined) w.learn(published);
  }

  /** A synchronising write publishes all that the warp has seen and done. */
  #publish(w: SimWarp, at: number): void {
    if (this.#races === undefined) return;
    this.#published.set(at, w.snapshot());
    w.tick();
  }
}

const oldWords = new Int32Array(2);
const newWords = new Int32Array(2);
const firstOperand = new Int32Array(2);
const secondOperand = new Int32Array(2);
