import { sharedBase } from '../builder/shared.ts';
import { bankPasses, type Counters } from './counters.ts';
import type { Access, Combine, SharedSpace, Site } from './machine.ts';
import type { SimWarp } from './warp.ts';

/** Lane numbers beyond 31 in the record of readers: several lanes, or the warp as a whole. */
const severalLanes = 32;
const wholeWarp = 33;

/**
 * The shared memory of a CTA, with a record per word of who touched it last. A warp's clock ticks at
 * each synchronisation; a warp has seen another one's access if its copy of the other's clock has
 * reached the clock of the access (vector clocks, as in FastTrack).
 */
export class SharedMemory implements SharedSpace {
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #size: number;
  readonly #warps: number;
  readonly #races: boolean;
  readonly #counters: Counters;
  /** Per word, the bytes written since the CTA started, four bits. */
  readonly #written: Uint8Array;
  /** Per word, how many asynchronous copies will still write it. */
  readonly #pending: Uint8Array;
  /** Last writer: 1 + warp, lane (shifted by 6), bytes (12), synchronising access (16). */
  readonly #writer: Int32Array;
  readonly #writeClock: Uint32Array;
  /** Warps that read the word since it was last written, and when; which lane of each. */
  readonly #readers: Int32Array;
  readonly #readClock: Uint32Array;
  readonly #readLane: Uint8Array;
  /** 1 where reads since the last write touched parts of the word. */
  readonly #partial: Uint8Array;
  /** What synchronising accesses have published at an address. */
  readonly #published = new Map<number, Uint32Array>();
  readonly #starts = new Int32Array(32);

  constructor(size: number, warps: number, races: boolean, counters: Counters) {
    const words = Math.ceil(size / 4);
    this.#size = size;
    this.#warps = warps;
    this.#races = races;
    this.#counters = counters;
    this.words = new Int32Array(words);
    this.#bytes = new Uint8Array(this.words.buffer);
    this.#halves = new Uint16Array(this.words.buffer);
    this.#written = new Uint8Array(words);
    this.#pending = new Uint8Array(words);
    const tracked = races ? words : 0;
    this.#writer = new Int32Array(tracked);
    this.#writeClock = new Uint32Array(tracked);
    this.#readers = new Int32Array(tracked);
    this.#readClock = new Uint32Array(tracked * warps);
    this.#readLane = new Uint8Array(tracked * warps);
    this.#partial = new Uint8Array(tracked);
  }

  /** Makes the memory as new for the next CTA. */
  reset(): void {
    this.#written.fill(0);
    this.#pending.fill(0);
    this.#writer.fill(0);
    this.#readers.fill(0);
    this.#partial.fill(0);
    this.#published.clear();
  }

  load(w: SimWarp, access: Access, mask: number): void {
    const { site, bytes, count, data, strong } = access;
    const size = bytes * count;
    const { I } = w;
    let lanes = 0;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const at = this.#locate(w, site, lane, I[access.address + lane] + access.offset, size);
      this.#starts[lanes++] = at >> 2;
      if (strong) this.#acquire(w, at);
      if (bytes < 4) {
        const each = (1 << bytes) - 1;
        for (let i = 0; i < count; i++) {
          const byte = at + i * bytes;
          this.#read(w, site, lane, byte >> 2, each << (byte & 3), strong);
          const raw = bytes === 1 ? this.#bytes[byte] : this.#halves[byte >> 1];
          const shift = 32 - bytes * 8;
          I[data[i] + lane] = access.signed ? (raw << shift) >> shift : raw;
        }
        continue;
      }
      const first = at >> 2;
      const perElement = bytes >> 2;
      for (let i = 0; i < size >> 2; i++) {
        this.#read(w, site, lane, first + i, 15, strong);
        const register = perElement === 1 ? data[i] : data[i >> 1] + (i & 1) * 32;
        I[register + lane] = this.words[first + i];
      }
    }
    this.#counters.sharedLoadBytes += lanes * size;
    this.#count(lanes, size);
  }

  store(w: SimWarp, access: Access, mask: number): void {
    const { site, bytes, count, data, strong } = access;
    const size = bytes * count;
    const { I } = w;
    let lanes = 0;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const at = this.#locate(w, site, lane, I[access.address + lane] + access.offset, size);
      this.#starts[lanes++] = at >> 2;
      if (bytes < 4) {
        const each = (1 << bytes) - 1;
        for (let i = 0; i < count; i++) {
          const byte = at + i * bytes;
          const value = I[data[i] + lane];
          const same =
            bytes === 1
              ? this.#bytes[byte] === (value & 0xff)
              : this.#halves[byte >> 1] === (value & 0xffff);
          this.#write(w, site, lane, byte >> 2, each << (byte & 3), strong, same);
          if (bytes === 1) this.#bytes[byte] = value;
          else this.#halves[byte >> 1] = value;
        }
      } else {
        const first = at >> 2;
        const perElement = bytes >> 2;
        for (let i = 0; i < size >> 2; i++) {
          const register = perElement === 1 ? data[i] : data[i >> 1] + (i & 1) * 32;
          const value = I[register + lane];
          this.#write(w, site, lane, first + i, 15, strong, this.words[first + i] === value);
          this.words[first + i] = value;
        }
      }
      if (strong) this.#publish(w, at);
    }
    w.progressed();
    this.#counters.sharedStoreBytes += lanes * size;
    this.#count(lanes, size);
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
    const at = this.#locate(w, site, lane, address, size);
    for (let i = at >> 2; i < (at + size) >> 2; i++) {
      this.#write(w, site, lane, i, 15, false, false);
      this.#pending[i]++;
    }
    return at >> 2;
  }

  /** An asynchronous copy lands: `written` has four bits per word. */
  endCopy(w: SimWarp, lane: number, word: number, data: Int32Array, written: Uint8Array): void {
    data.forEach((value, i) => {
      this.#pending[word + i]--;
      this.words[word + i] = value;
      this.#written[word + i] = written[i];
      if (this.#races) this.#recordWrite(w, lane, word + i, 15, false);
    });
    w.progressed();
    this.#counters.sharedStoreBytes += data.length * 4;
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
      w.fault(
        'out of bounds',
        site,
        `${size} bytes at offset ${at} of the CTA's ${this.#size} bytes of shared memory`,
        lane,
        at,
      );
    }
    if ((at & (size - 1)) !== 0) {
      w.fault('misaligned', site, `${size} bytes at offset ${at} of shared memory`, lane, at);
    }
    return at;
  }

  #read(w: SimWarp, site: Site, lane: number, word: number, bytes: number, strong: boolean): void {
    if (this.#pending[word] !== 0) {
      w.fault(
        'pending copy',
        site,
        'reads what an asynchronous copy has not delivered yet; wait for its group and synchronise first',
        lane,
        word * 4,
      );
    }
    if ((this.#written[word] & bytes) !== bytes) {
      w.fault('uninitialised read', site, 'nobody wrote this shared memory', lane, word * 4);
    }
    if (!this.#races) return;
    const writer = this.#writer[word];
    if (writer !== 0) this.#checkWriter(w, site, lane, word, writer, bytes, strong, 'reads');
    if (strong) return;
    const index = word * this.#warps + w.id;
    const bit = 1 << w.id;
    const clock = w.clock[w.id];
    if ((this.#readers[word] & bit) !== 0 && this.#readClock[index] === clock) {
      const known = this.#readLane[index];
      if (known !== lane && lane !== wholeWarp) {
        this.#readLane[index] = known === wholeWarp ? lane : severalLanes;
      }
    } else {
      this.#readers[word] |= bit;
      this.#readClock[index] = clock;
      this.#readLane[index] = lane;
    }
    if (bytes !== 15) this.#partial[word] = 1;
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
    if (this.#pending[word] !== 0) {
      const problem = 'writes where an asynchronous copy will still deliver data';
      w.fault('pending copy', site, problem, lane, word * 4);
    }
    if (!this.#races) {
      this.#written[word] |= bytes;
      return;
    }
    const writer = this.#writer[word];
    // Two threads that write the same value do no harm.
    if (writer !== 0 && !(same && (this.#written[word] & bytes) === bytes)) {
      this.#checkWriter(w, site, lane, word, writer, bytes, strong, 'overwrites');
    }
    this.#written[word] |= bytes;
    if (
      this.#readers[word] !== 0 &&
      !strong &&
      bytes === 15 &&
      this.#partial[word] === 0 &&
      !same
    ) {
      this.#checkReaders(w, site, lane, word);
    }
    this.#recordWrite(w, lane, word, bytes, strong);
  }

  #recordWrite(w: SimWarp, lane: number, word: number, bytes: number, strong: boolean): void {
    const clock = w.clock[w.id];
    const before = this.#writer[word];
    const sameLane = (before & 0xfff) === ((w.id + 1) | (lane << 6));
    const all =
      sameLane && this.#writeClock[word] === clock ? bytes | ((before >> 12) & 15) : bytes;
    this.#writer[word] = (w.id + 1) | (lane << 6) | (all << 12) | (strong ? 1 << 16 : 0);
    this.#writeClock[word] = clock;
    this.#readers[word] = 0;
    this.#partial[word] = 0;
  }

  #checkWriter(
    w: SimWarp,
    site: Site,
    lane: number,
    word: number,
    writer: number,
    bytes: number,
    strong: boolean,
    verb: string,
  ): void {
    if (((writer >> 12) & bytes) === 0 || (strong && (writer & (1 << 16)) !== 0)) return;
    const other = (writer & 63) - 1;
    const clock = this.#writeClock[word];
    if (other !== w.id) {
      if (clock <= w.clock[other]) return;
      const problem = `${verb} what warp ${other} wrote, with no barrier between`;
      w.fault('race', site, problem, lane, word * 4);
    }
    const otherLane = (writer >> 6) & 63;
    if (otherLane === lane || otherLane === wholeWarp || clock !== w.clock[w.id]) return;
    const who = lane === wholeWarp ? 'the warp' : `lane ${lane}`;
    const problem = `${who} ${verb} what lane ${otherLane} of the same warp wrote, with no syncWarp or barrier between`;
    w.fault('race', site, problem, lane === wholeWarp ? undefined : lane, word * 4);
  }

  #checkReaders(w: SimWarp, site: Site, lane: number, word: number): void {
    const readers = this.#readers[word];
    for (let rest = readers; rest !== 0; rest &= rest - 1) {
      const other = 31 - Math.clz32(rest & -rest);
      const index = word * this.#warps + other;
      const clock = this.#readClock[index];
      if (other !== w.id) {
        if (clock <= w.clock[other]) continue;
        const problem = `overwrites what warp ${other} read, with no barrier between`;
        w.fault('race', site, problem, lane, word * 4);
      }
      const otherLane = this.#readLane[index];
      if (clock !== w.clock[w.id] || otherLane === lane || otherLane === wholeWarp) continue;
      if (lane === wholeWarp) continue;
      const who = otherLane === severalLanes ? 'other lanes' : `lane ${otherLane}`;
      const problem = `overwrites what ${who} of the same warp read, with no syncWarp or barrier between`;
      w.fault('race', site, problem, lane, word * 4);
    }
  }

  /** A synchronising read sees what was published at this address. */
  #acquire(w: SimWarp, at: number): void {
    const published = this.#races ? this.#published.get(at) : undefined;
    if (published !== undefined) w.join(published);
  }

  /** A synchronising write publishes all that the warp has seen and done. */
  #publish(w: SimWarp, at: number): void {
    if (!this.#races) return;
    this.#published.set(at, w.clock.slice());
    w.clock[w.id]++;
  }
}

const oldWords = new Int32Array(2);
const newWords = new Int32Array(2);
const firstOperand = new Int32Array(2);
const secondOperand = new Int32Array(2);
