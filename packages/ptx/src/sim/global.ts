import type { Counters } from './counters.ts';
import type { Footprint } from './footprint.ts';
import type { Access, Combine, MemorySpace, Site } from './machine.ts';
import { type Allocation, markWritten, type SimMemory } from './memory.ts';
import type { PendingWrites } from './pending-writes.ts';
import type { Publications } from './publication.ts';
import type { SimWarp } from './warp.ts';

/** Global memory as kernels see it. */
export class GlobalSpace implements MemorySpace {
  readonly #memory: SimMemory;
  readonly #counters: Counters;
  readonly #publications: Publications | undefined;
  /** What the launch touches, where somebody wants to know. */
  readonly #footprint: Footprint | undefined;
  #last: Allocation | undefined;
  /** Stores of the copy engine that have not arrived. */
  pending: PendingWrites | undefined;
  readonly #sectors = new Float64Array(32);

  constructor(
    memory: SimMemory,
    counters: Counters,
    publications: Publications | undefined,
    footprint: Footprint | undefined,
  ) {
    this.#memory = memory;
    this.#counters = counters;
    this.#publications = publications;
    this.#footprint = footprint;
  }

  load(w: SimWarp, access: Access, mask: number): void {
    const { site, bytes, count, data } = access;
    const size = bytes * count;
    const { I } = w;
    let lanes = 0;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const address = addressOf(I, access.address, lane, access.offset);
      const block = this.#locate(w, site, lane, address, size);
      const at = address - block.base;
      this.#sectors[lanes++] = Math.floor(address / 32);
      this.#check(w, access, lane, block, at, size, address);
      this.#footprint?.read(block, at, size);
      if (bytes < 4) {
        const shift = 32 - bytes * 8;
        for (let i = 0; i < count; i++) {
          const raw = bytes === 1 ? block.bytes[at + i] : block.halves[at / 2 + i];
          I[data[i] + lane] = access.signed ? (raw << shift) >> shift : raw;
        }
        continue;
      }
      const first = at / 4;
      const single = bytes === 4;
      for (let i = 0; i < size >> 2; i++) {
        const register = single ? data[i] : data[i >> 1] + (i & 1) * 32;
        I[register + lane] = block.words[first + i];
      }
    }
    if (access.strong) this.#publications?.observe(w);
    if (access.acquire) this.#publications?.acquire(w);
    this.#counters.globalLoadBytes += lanes * size;
    this.#countSectors(lanes);
  }

  store(w: SimWarp, access: Access, mask: number): void {
    const { site, bytes, count, data } = access;
    const size = bytes * count;
    const { I } = w;
    if (access.release) this.#publications?.release(w);
    let lanes = 0;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const address = addressOf(I, access.address, lane, access.offset);
      const block = this.#locate(w, site, lane, address, size);
      const at = address - block.base;
      this.#sectors[lanes++] = Math.floor(address / 32);
      if (bytes < 4) {
        for (let i = 0; i < count; i++) {
          const value = I[data[i] + lane];
          if (bytes === 1) block.bytes[at + i] = value;
          else block.halves[at / 2 + i] = value;
        }
      } else {
        const first = at / 4;
        const single = bytes === 4;
        for (let i = 0; i < size >> 2; i++) {
          const register = single ? data[i] : data[i >> 1] + (i & 1) * 32;
          block.words[first + i] = I[register + lane];
        }
      }
      this.#record(w, block, at, size);
    }
    if (access.strong) this.#publications?.signal(w);
    w.progressed();
    this.#counters.globalStoreBytes += lanes * size;
    this.#countSectors(lanes);
  }

  atomic(w: SimWarp, access: Access, mask: number, combine: Combine, result: number): void {
    const { site, bytes, data } = access;
    const { I } = w;
    const [a = 0, b = 0] = data;
    if (access.release) this.#publications?.release(w);
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const address = addressOf(I, access.address, lane, access.offset);
      const block = this.#locate(w, site, lane, address, bytes, bytes, result < 0);
      const at = address - block.base;
      this.#check(w, access, lane, block, at, bytes, address);
      for (let i = 0; i < bytes >> 2; i++) {
        oldWords[i] = block.words[at / 4 + i];
        firstOperand[i] = I[a + i * 32 + lane];
        secondOperand[i] = I[b + i * 32 + lane];
      }
      combine(newWords, oldWords, firstOperand, secondOperand);
      for (let i = 0; i < bytes >> 2; i++) {
        if (newWords[i] !== oldWords[i]) w.progressed();
        block.words[at / 4 + i] = newWords[i];
        if (result >= 0) I[result + i * 32 + lane] = oldWords[i];
      }
      this.#record(w, block, at, bytes);
      this.#counters.atomicOperations++;
    }
    this.#publications?.signal(w);
    this.#publications?.observe(w);
    if (access.acquire) this.#publications?.acquire(w);
  }

  /** Reads up to 16 bytes for an asynchronous copy; `written` receives four bits per word. */
  fetch(
    w: SimWarp,
    access: Access,
    lane: number,
    address: number,
    size: number,
    into: Int32Array,
    written: Uint8Array,
  ): void {
    const block = this.#locate(w, access.site, lane, address, size, access.bytes * access.count);
    const at = address - block.base;
    this.#checkVisible(w, access, lane, block, at, size, address);
    this.#footprint?.read(block, at, size);
    const first = at / 4;
    for (let i = 0; i * 4 < size; i++) {
      const rest = size - i * 4;
      // Bytes beyond the source size are zeros, which counts as written.
      const beyond = rest < 4 ? 15 << rest : 0;
      into[i] =
        rest < 4 ? block.words[first + i] & ((1 << (8 * rest)) - 1) : block.words[first + i];
      if (block.written !== undefined) written[i] = (block.written[first + i] | beyond) & 15;
    }
    this.#counters.globalLoadBytes += size;
  }

  /**
   * Holds what a copy that the warp starts will read against what this launch wrote: it must be
   * visible here, before a proxy fence.
   */
  checkCopySource(w: SimWarp, site: Site, lane: number, address: number, size: number): void {
    const block = this.#locate(w, site, lane, address, size, 1);
    const { writer, writerClock } = block;
    const publications = this.#publications;
    if (writer === undefined || writerClock === undefined || publications === undefined) return;
    const at = address - block.base;
    const end = Math.ceil((at + size) / 4);
    for (let i = Math.floor(at / 4); i < end; i++) {
      if (writer[i] < publications.first) continue;
      const objection = publications.copyObjection(w, writer[i], writerClock[i]);
      if (objection === undefined) continue;
      if (objection === 'no fenceProxyAsync') {
        const problem = 'reads what a thread of this launch wrote with no fenceProxyAsync between';
        w.fault('proxy', site, problem, lane, address);
      }
      w.fault('unpublished read', site, objection, lane, address);
    }
  }

  /** Holds the bytes that a copy will write against what is allocated and what is on its way. */
  checkTarget(
    w: SimWarp,
    site: Site,
    lane: number,
    address: number,
    size: number,
    adding: boolean,
  ): void {
    this.#locate(w, site, lane, address, size, 1, adding);
  }

  /** Bytes for a copy. Where somebody did not write all of them, `written` gets 1 for those written. */
  copyIn(
    w: SimWarp,
    site: Site,
    lane: number,
    address: number,
    into: Uint8Array,
    written: Uint8Array,
  ): boolean {
    const size = into.length;
    const block = this.#locate(w, site, lane, address, size, 1);
    const at = address - block.base;
    into.set(block.bytes.subarray(at, at + size));
    this.#footprint?.read(block, at, size);
    this.#counters.globalLoadBytes += size;
    this.#counters.globalSectors += Math.ceil(size / 32);
    const marks = block.written;
    if (marks === undefined) return true;
    let whole = true;
    for (let i = at >> 2; i < (at + size) >> 2 && whole; i++) whole = marks[i] === 15;
    if (whole && ((at | size) & 3) === 0) return true;
    for (let i = 0; i < size; i++) written[i] = (marks[(at + i) >> 2] >> ((at + i) & 3)) & 1;
    return false;
  }

  /** Bytes that a copy writes; `combine` adds words to what is there instead. */
  copyOut(
    w: SimWarp,
    site: Site,
    lane: number,
    address: number,
    data: Uint8Array,
    combine: Combine | undefined,
  ): void {
    const size = data.length;
    const block = this.#locate(w, site, lane, address, size, 1, combine !== undefined);
    const at = address - block.base;
    if (combine === undefined) block.bytes.set(data, at);
    else {
      const view = new DataView(data.buffer, data.byteOffset, size);
      for (let i = 0; i < size; i += 4) {
        oldWords[0] = block.words[(at + i) >> 2];
        firstOperand[0] = view.getInt32(i, true);
        combine(newWords, oldWords, firstOperand, secondOperand);
        block.words[(at + i) >> 2] = newWords[0];
      }
    }
    markWritten(block, at, size);
    this.#footprint?.write(block, at, size);
    this.#stamp(w, block, at, size);
    w.progressed();
    this.#counters.globalStoreBytes += size;
    this.#counters.globalSectors += Math.ceil(size / 32);
  }

  #locate(
    w: SimWarp,
    site: Site,
    lane: number,
    address: number,
    size: number,
    alignment = size,
    adding = false,
  ): Allocation {
    let block = this.#last;
    if (block === undefined || address < block.base || address + size > block.end) {
      block = this.#memory.find(address, size);
      if (block === undefined) {
        const where = this.#memory.describe(address, size);
        w.fault('out of bounds', site, `${size} bytes of global memory, ${where}`, lane, address);
      }
      this.#last = block;
    }
    const { pending } = this;
    if (pending !== undefined && pending.count > 0) {
      const copy = pending.conflict(address, size, adding);
      if (copy !== undefined) {
        const problem = `${copy} has not arrived here yet; wait for its group first`;
        w.fault('pending copy', site, problem, lane, address);
      }
    }
    if (address % alignment !== 0) {
      const problem = `an access aligned to ${alignment} bytes`;
      w.fault('misaligned', site, problem, lane, address);
    }
    return block;
  }

  #check(
    w: SimWarp,
    access: Access,
    lane: number,
    block: Allocation,
    at: number,
    size: number,
    address: number,
  ): void {
    const { written } = block;
    if (written !== undefined) {
      const word = Math.floor(at / 4);
      const bits = size >= 4 ? 15 : ((1 << size) - 1) << (at % 4);
      for (let i = word; i < word + Math.max(1, size / 4); i++) {
        if ((written[i] & bits) !== bits) {
          const problem = 'neither the host nor a kernel wrote this global memory';
          w.fault('uninitialised read', access.site, problem, lane, address);
        }
      }
    }
    if (!access.strong) this.#checkVisible(w, access, lane, block, at, size, address);
  }

  #checkVisible(
    w: SimWarp,
    access: Access,
    lane: number,
    block: Allocation,
    at: number,
    size: number,
    address: number,
  ): void {
    const { writer, writerClock } = block;
    const publications = this.#publications;
    if (writer === undefined || writerClock === undefined || publications === undefined) return;
    const end = Math.ceil((at + size) / 4);
    for (let i = Math.floor(at / 4); i < end; i++) {
      const serial = writer[i];
      if (serial < publications.first) continue;
      if (access.nc) {
        const problem = 'a load with `nc` reads what this kernel writes';
        w.fault('unpublished read', access.site, problem, lane, address);
      }
      if (serial === w.serial) continue;
      const objection = publications.objection(w, serial, writerClock[i]);
      if (objection !== undefined) {
        w.fault('unpublished read', access.site, objection, lane, address);
      }
    }
  }

  #record(w: SimWarp, block: Allocation, at: number, size: number): void {
    this.#footprint?.write(block, at, size);
    if (block.written !== undefined) {
      if (size < 4) markWritten(block, at, size);
      else for (let i = at / 4; i < (at + size) / 4; i++) block.written[i] = 15;
    }
    this.#stamp(w, block, at, size);
  }

  #stamp(w: SimWarp, block: Allocation, at: number, size: number): void {
    if (this.#publications === undefined) return;
    block.writer ??= new Uint32Array(block.words.length);
    block.writerClock ??= new Uint32Array(block.words.length);
    const stamp = ((w.id << 27) | (w.clock[w.slot] & 0x7ffffff)) >>> 0;
    for (let i = Math.floor(at / 4); i < (at + size) / 4; i++) {
      block.writer[i] = w.serial;
      block.writerClock[i] = stamp;
    }
  }

  #countSectors(lanes: number): void {
    const sectors = this.#sectors;
    let distinct = 0;
    for (let i = 0; i < lanes; i++) {
      let known = false;
      // Neighbours mostly share sectors, so the newest are looked at first.
      for (let j = distinct - 1; j >= 0 && !known; j--) known = sectors[j] === sectors[i];
      if (!known) sectors[distinct++] = sectors[i];
    }
    this.#counters.globalSectors += distinct;
  }
}

/** A lane's 64-bit address plus a constant, as a number. */
export function addressOf(I: Int32Array, register: number, lane: number, offset: number): number {
  return (I[register + 32 + lane] >>> 0) * 4294967296 + (I[register + lane] >>> 0) + offset;
}

const oldWords = new Int32Array(2);
const newWords = new Int32Array(2);
const firstOperand = new Int32Array(2);
const secondOperand = new Int32Array(2);
