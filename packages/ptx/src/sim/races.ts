import type { Site } from './machine.ts';
import type { SimWarp } from './warp.ts';

/** Stands for the warp as a whole where a lane is expected: matrix instructions act together. */
export const wholeWarp = 33;
/** Several lanes of a warp have read a word. */
const severalLanes = 32;

// What is known about a word, at word × stride.
const stride = 8;
const writePhase = 0;
/** 1 + warp, lane (shifted by 6), bytes (12), synchronising access (16). */
const writer = 1;
const writeClock = 2;
const readPhase = 3;
/** Bit w: warp w has read the word since it was written. */
const readers = 4;
/** Non-zero when some of these reads touched only parts of the word. */
const partly = 5;

/**
 * Finds races in shared memory. A warp's clock ticks at each synchronisation; a warp has seen another
 * one's access if its copy of the other's clock has reached the clock of the access (vector clocks,
 * as in FastTrack). Barriers of the whole CTA begin a new phase, and what happened in earlier phases
 * needs no more attention.
 */
export class RaceRecord {
  readonly #warps: number;
  readonly #words: Int32Array;
  /** Per word and warp: clock and lane of its last read. */
  readonly #readClock: Uint32Array;
  readonly #readLane: Uint8Array;
  #phase = 1;

  constructor(words: number, warps: number) {
    this.#warps = warps;
    this.#words = new Int32Array(words * stride);
    this.#readClock = new Uint32Array(words * warps);
    this.#readLane = new Uint8Array(words * warps);
  }

  /** All warps have synchronised, or another CTA begins. */
  nextPhase(): void {
    this.#phase++;
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
    const { id } = w;
    const index = word * this.#warps + id;
    const clock = w.clock[id];
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
    }
    this.record(w, lane, word, bytes, strong);
  }

  /** Notes a write that needs no check: what an asynchronous copy delivers. */
  record(w: SimWarp, lane: number, word: number, bytes: number, strong: boolean): void {
    const words = this.#words;
    const base = word * stride;
    const clock = w.clock[w.id];
    const who = (w.id + 1) | (lane << 6);
    const again =
      words[base + writePhase] === this.#phase &&
      (words[base + writer] & 0xfff) === who &&
      words[base + writeClock] === clock;
    const all = again ? bytes | ((words[base + writer] >> 12) & 15) : bytes;
    words[base + writePhase] = this.#phase;
    words[base + writer] = who | (all << 12) | (strong ? 1 << 16 : 0);
    words[base + writeClock] = clock;
    words[base + readPhase] = 0;
    words[base + partly] = 0;
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
    if (((last >> 12) & bytes) === 0 || (strong && (last & (1 << 16)) !== 0)) return;
    const other = (last & 63) - 1;
    const clock = this.#words[word * stride + writeClock];
    if (other !== w.id) {
      if (clock <= w.clock[other]) return;
      const problem = `${verb} what warp ${other} wrote, with no barrier between`;
      w.fault('race', site, problem, lane, word * 4);
    }
    const otherLane = (last >> 6) & 63;
    if (otherLane === lane || otherLane === wholeWarp || clock !== w.clock[w.id]) return;
    const who = lane === wholeWarp ? 'the warp' : `lane ${lane}`;
    const problem = `${who} ${verb} what lane ${otherLane} of the same warp wrote, with no syncWarp or barrier between`;
    w.fault('race', site, problem, lane === wholeWarp ? undefined : lane, word * 4);
  }

  #checkReaders(w: SimWarp, site: Site, lane: number, word: number): void {
    for (let rest = this.#words[word * stride + readers]; rest !== 0; rest &= rest - 1) {
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
}
