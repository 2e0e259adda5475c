import type { Site } from './machine.ts';
import type { SimWarp } from './warp.ts';

/** Stands for the warp as a whole where a lane is expected: matrix instructions act together. */
export const wholeWarp = 33;
/** Several lanes of a warp have read a word. */
const severalLanes = 32;

// What is known about a word, at word × stride.
const stride = 8;
const writePhase = 0;
/** 1 + slot of the clock, lane (shifted by 12), bytes (18), synchronising access (22), copy (23). */
const writer = 1;
const slotMask = 0xfff;
const whoMask = 0x3ffff;
const laneShift = 12;
const bytesShift = 18;
const strongBit = 1 << 22;
const copyBit = 1 << 23;
const writeClock = 2;
const readPhase = 3;
/** Bit w: warp w of this CTA has read the word since it was written. */
const readers = 4;
/** Non-zero when some of these reads touched only parts of the word. */
const partly = 5;

/** The last writes to a region, by whoever wrote, with the latest clock of each. */
export class LastWrites {
  readonly #latest: ReadonlyMap<number, number>;

  constructor(latest: ReadonlyMap<number, number>) {
    this.#latest = latest;
  }

  /** Whether the warp knows of all of them, those by threads from before a proxy fence. */
  knownTo(w: SimWarp): boolean {
    for (const [who, clock] of this.#latest) {
      const slot = (who & slotMask) - 1;
      const known =
        (who & copyBit) !== 0 ? w.clock[slot] : Math.min(w.clock[slot], w.proxied[slot]);
      if (known < clock) return false;
    }
    return true;
  }
}

/**
 * Finds races in shared memory. A warp's clock ticks at each synchronisation; a warp has seen another
 * one's access if its copy of the other's clock has reached the clock of the access (vector clocks,
 * as in FastTrack). Barriers of the whole CTA begin a new phase, and what happened in earlier phases
 * needs no more attention.
 */
export class RaceRecord {
  readonly #warps: number;
  /** Slot of the CTA's first warp in clocks. */
  readonly #firstSlot: number;
  /** Clocks of reads by others than this CTA's warps: per word, by slot. */
  #farReads: Map<number, Map<number, number>> | undefined;
  /** Names the owner of a slot, as the warp sees it. */
  readonly #nameOf: (slot: number) => string;
  readonly #words: Int32Array;
  /** Per word and warp: clock and lane of its last read. */
  readonly #readClock: Uint32Array;
  readonly #readLane: Uint8Array;
  #phase = 1;

  constructor(words: number, warps: number, firstSlot: number, nameOf: (slot: number) => string) {
    this.#warps = warps;
    this.#firstSlot = firstSlot;
    this.#nameOf = nameOf;
    this.#words = new Int32Array(words * stride);
    this.#readClock = new Uint32Array(words * warps);
    this.#readLane = new Uint8Array(words * warps);
  }

  /** All warps have synchronised, or another CTA begins. */
  nextPhase(): void {
    this.#phase++;
    this.#farReads = undefined;
  }

  /** A lane reads the `bytes` (a mask) of a word. */
  read(w: SimWarp, site: Site, lane: number, word: number, bytes: number, strong: boolean): void {
    const words = this.#words;
    const base = word * stride;
    const phase = this.#phase;
    if (words[base + writePhase] === phase) {
      this.#checkWriter(w, site, lane, word, bytes, strong, 'reads');
    }
    if (strong) return;
    if (w.slot - w.id !== this.#firstSlot) {
      this.farRead(w.slot, w.clock[w.slot], word);
      return;
    }
    const { id } = w;
    const index = word * this.#warps + id;
    const clock = w.clock[w.slot];
    const bit = 1 << id;
    if (words[base + readPhase] !== phase) {
      words[base + readPhase] = phase;
      words[base + readers] = bit;
      words[base + partly] = bytes ^ 15;
    } else if ((words[base + readers] & bit) !== 0 && this.#readClock[index] === clock) {
      words[base + partly] |= bytes ^ 15;
      const known = this.#readLane[index];
      if (known !== lane && lane !== wholeWarp) {
        this.#readLane[index] = known === wholeWarp ? lane : severalLanes;
      }
      return;
    } else {
      words[base + readers] |= bit;
      words[base + partly] |= bytes ^ 15;
    }
    this.#readClock[index] = clock;
    this.#readLane[index] = lane;
  }

  /** A lane writes the `bytes` of a word. `same`: it writes what is there already. */
  write(
    w: SimWarp,
    site: Site,
    lane: number,
    word: number,
    bytes: number,
    strong: boolean,
    same: boolean,
  ): void {
    const words = this.#words;
    const base = word * stride;
    // Two threads that write the same value do no harm.
    if (!same) {
      if (words[base + writePhase] === this.#phase) {
        this.#checkWriter(w, site, lane, word, bytes, strong, 'overwrites');
      }
      const whole = bytes === 15 && words[base + partly] === 0;
      if (words[base + readPhase] === this.#phase && whole && !strong) {
        this.#checkReaders(w, site, lane, word);
      }
      if (this.#farReads !== undefined) this.#checkFarReaders(w, site, lane, word);
    }
    this.record(w, lane, word, bytes, strong);
  }

  /** Notes a read by another CTA's warp, or by a copy that ends at this clock. */
  farRead(slot: number, clock: number, word: number): void {
    this.#farReads ??= new Map();
    let reads = this.#farReads.get(word);
    if (reads === undefined) {
      reads = new Map();
      this.#farReads.set(word, reads);
    }
    reads.set(slot, clock);
  }

  /**
   * A copy that the warp starts reads or (`verb`: overwrites) the word. Says whether a proxy fence
   * covers the last write by a thread.
   */
  copy(w: SimWarp, site: Site, lane: number, word: number, verb: 'reads' | 'overwrites'): boolean {
    const words = this.#words;
    const base = word * stride;
    if (words[base + writePhase] === this.#phase) {
      this.#checkWriter(w, site, lane, word, 15, false, verb);
    }
    if (verb === 'overwrites') {
      if (words[base + readPhase] === this.#phase) this.#checkReaders(w, site, lane, word);
      if (this.#farReads !== undefined) this.#checkFarReaders(w, site, lane, word);
    }
    const last = words[base + writer];
    if (words[base + writePhase] !== this.#phase || (last & copyBit) !== 0) return true;
    return words[base + writeClock] <= w.proxied[(last & slotMask) - 1];
  }

  /** The last writes to these chunks of four words. */
  lastWrites(chunks: Int32Array): LastWrites {
    const words = this.#words;
    const latest = new Map<number, number>();
    let last = -1;
    let lastClock = -1;
    for (let i = 0; i < chunks.length; i++) {
      for (let word = chunks[i]; word < chunks[i] + 4; word++) {
        const base = word * stride;
        if (words[base + writePhase] !== this.#phase) continue;
        const who = words[base + writer] & (slotMask | copyBit);
        const clock = words[base + writeClock];
        if (who === last && clock <= lastClock) continue;
        last = who;
        lastClock = Math.max(latest.get(who) ?? 0, clock);
        latest.set(who, lastClock);
      }
    }
    return new LastWrites(latest);
  }

  /** Notes that warps (a mask, from `first` on) have read chunks of four words, at these clocks. */
  readByGroup(chunks: Int32Array, first: number, warps: number, clocks: Uint32Array): void {
    const words = this.#words;
    const ranks = [0, 1, 2, 3].filter((rank) => (warps >>> rank) & 1);
    for (let i = 0; i < chunks.length; i++) {
      for (let word = chunks[i]; word < chunks[i] + 4; word++) {
        const base = word * stride;
        if (words[base + readPhase] !== this.#phase) {
          words[base + readPhase] = this.#phase;
          words[base + readers] = 0;
          words[base + partly] = 0;
        }
        words[base + readers] |= warps << first;
        for (const rank of ranks) {
          const index = word * this.#warps + first + rank;
          this.#readClock[index] = clocks[rank];
          this.#readLane[index] = wholeWarp;
        }
      }
    }
  }

  /** Notes what a copy delivers, to be seen by who knows this clock of its barrier. */
  recordCopy(slot: number, clock: number, word: number): void {
    const words = this.#words;
    const base = word * stride;
    words[base + writePhase] = this.#phase;
    words[base + writer] = (slot + 1) | (wholeWarp << laneShift) | (15 << bytesShift) | copyBit;
    words[base + writeClock] = clock;
    words[base + readPhase] = 0;
    words[base + partly] = 0;
    if (this.#farReads !== undefined) this.#farReads.delete(word);
  }

  /** Notes a write that needs no check: what an asynchronous copy delivers. */
  record(w: SimWarp, lane: number, word: number, bytes: number, strong: boolean): void {
    const words = this.#words;
    const base = word * stride;
    const clock = w.clock[w.slot];
    const who = (w.slot + 1) | (lane << laneShift);
    const again =
      words[base + writePhase] === this.#phase &&
      (words[base + writer] & whoMask) === who &&
      words[base + writeClock] === clock;
    const all = again ? bytes | ((words[base + writer] >> bytesShift) & 15) : bytes;
    words[base + writePhase] = this.#phase;
    words[base + writer] = who | (all << bytesShift) | (strong ? strongBit : 0);
    words[base + writeClock] = clock;
    words[base + readPhase] = 0;
    words[base + partly] = 0;
    if (this.#farReads !== undefined) this.#farReads.delete(word);
  }

  #checkWriter(
    w: SimWarp,
    site: Site,
    lane: number,
    word: number,
    bytes: number,
    strong: boolean,
    verb: string,
  ): void {
    const last = this.#words[word * stride + writer];
    const copied = (last & copyBit) !== 0;
    if (((last >> bytesShift) & bytes) === 0) return;
    if (strong && !copied && (last & strongBit) !== 0) return;
    const other = (last & slotMask) - 1;
    const clock = this.#words[word * stride + writeClock];
    if (other !== w.slot) {
      if (clock <= w.clock[other]) return;
      const where = lane === wholeWarp ? undefined : lane;
      if (copied) {
        const problem = `${verb} what ${this.#nameOf(other)}, without having waited for that phase`;
        w.fault('pending copy', site, problem, where, word * 4);
      }
      const problem = `${verb} what ${this.#nameOf(other)} wrote, with no barrier between`;
      w.fault('race', site, problem, where, word * 4);
    }
    const otherLane = (last >> laneShift) & 63;
    if (otherLane === lane || otherLane === wholeWarp || clock !== w.clock[w.slot]) return;
    const who = lane === wholeWarp ? 'the warp' : `lane ${lane}`;
    const problem = `${who} ${verb} what lane ${otherLane} of the same warp wrote, with no syncWarp or barrier between`;
    w.fault('race', site, problem, lane === wholeWarp ? undefined : lane, word * 4);
  }

  #checkReaders(w: SimWarp, site: Site, lane: number, word: number): void {
    for (let rest = this.#words[word * stride + readers]; rest !== 0; rest &= rest - 1) {
      const other = 31 - Math.clz32(rest & -rest);
      const index = word * this.#warps + other;
      const clock = this.#readClock[index];
      if (other + this.#firstSlot !== w.slot) {
        if (clock <= w.clock[other + this.#firstSlot]) continue;
        const problem = `overwrites what warp ${other} read, with no barrier between`;
        w.fault('race', site, problem, lane, word * 4);
      }
      const otherLane = this.#readLane[index];
      if (clock !== w.clock[w.slot] || otherLane === lane || otherLane === wholeWarp) continue;
      if (lane === wholeWarp) continue;
      const who = otherLane === severalLanes ? 'other lanes' : `lane ${otherLane}`;
      const problem = `overwrites what ${who} of the same warp read, with no syncWarp or barrier between`;
      w.fault('race', site, problem, lane, word * 4);
    }
  }

  #checkFarReaders(w: SimWarp, site: Site, lane: number, word: number): void {
    const reads = this.#farReads?.get(word);
    if (reads === undefined) return;
    for (const [slot, clock] of reads) {
      if (slot === w.slot || clock <= w.clock[slot]) continue;
      const problem = `overwrites what ${this.#nameOf(slot)} reads, with no barrier between`;
      w.fault('race', site, problem, lane === wholeWarp ? undefined : lane, word * 4);
    }
  }
}
