import { addressOf, type GlobalSpace } from './global.ts';
import type { Access, AsyncCopy } from './machine.ts';
import type { SharedMemory } from './shared.ts';
import type { SimWarp } from './warp.ts';

// Fields of a pending copy in the queue's table.
const laneField = 0;
/** The lane's group it belongs to: the commits counted before it. */
const groupField = 1;
/** First word of the destination. */
const wordField = 2;
/** Bytes to read; the rest of the destination becomes zero. */
const bytesField = 3;
const fields = 4;

/**
 * The asynchronous copies of a warp that have been started and not waited for. Data moves when it is
 * waited for, as late as the hardware could do it; until then the destination must not be touched.
 */
export class CopyQueue {
  readonly #shared: SharedMemory;
  readonly #global: GlobalSpace;
  readonly #commits = new Int32Array(32);
  #count = 0;
  #table = new Int32Array(64 * fields);
  #addresses = new Float64Array(64);
  readonly #sources: Access[] = [];

  constructor(shared: SharedMemory, global: GlobalSpace) {
    this.#shared = shared;
    this.#global = global;
  }

  reset(): void {
    this.#count = 0;
    this.#commits.fill(0);
  }

  start(w: SimWarp, copy: AsyncCopy, mask: number): void {
    const { site, source } = copy;
    const bytes = source.count * 4;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const to = w.I[copy.to + lane] + copy.toOffset;
      const word = this.#shared.beginCopy(w, site, lane, to, bytes);
      const address = addressOf(w.I, source.address, lane, source.offset);
      const sourceBytes = copy.sourceBytes < 0 ? bytes : w.I[copy.sourceBytes + lane] >>> 0;
      if (sourceBytes > bytes) {
        w.fault('out of bounds', site, `reads ${sourceBytes} of ${bytes} bytes`, lane, address);
      }
      this.#push(lane, word, sourceBytes, address, source);
    }
  }

  commit(mask: number): void {
    for (let lane = 0; lane < 32; lane++) this.#commits[lane] += (mask >>> lane) & 1;
  }

  /** Delivers all but each lane's newest `pending` groups; −1 delivers everything. */
  wait(w: SimWarp, mask: number, pending: number): void {
    const table = this.#table;
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      const at = i * fields;
      const lane = table[at + laneField];
      const due = pending < 0 || table[at + groupField] < this.#commits[lane] - pending;
      if (due && ((mask >>> lane) & 1) !== 0) {
        this.#deliver(w, i);
        continue;
      }
      table.copyWithin(kept * fields, at, at + fields);
      this.#addresses[kept] = this.#addresses[i];
      this.#sources[kept] = this.#sources[i];
      kept++;
    }
    this.#count = kept;
  }

  #push(lane: number, word: number, bytes: number, address: number, source: Access): void {
    const at = this.#count * fields;
    if (at === this.#table.length) this.#grow();
    const table = this.#table;
    table[at + laneField] = lane;
    table[at + groupField] = this.#commits[lane];
    table[at + wordField] = word;
    table[at + bytesField] = bytes;
    this.#addresses[this.#count] = address;
    this.#sources[this.#count++] = source;
  }

  #grow(): void {
    const table = new Int32Array(this.#table.length * 2);
    table.set(this.#table);
    this.#table = table;
    const addresses = new Float64Array(this.#addresses.length * 2);
    addresses.set(this.#addresses);
    this.#addresses = addresses;
  }

  #deliver(w: SimWarp, index: number): void {
    const at = index * fields;
    const lane = this.#table[at + laneField];
    const bytes = this.#table[at + bytesField];
    const source = this.#sources[index];
    data.fill(0);
    written.fill(15);
    if (bytes > 0) {
      this.#global.fetch(w, source, lane, this.#addresses[index], bytes, data, written);
    }
    this.#shared.endCopy(w, lane, this.#table[at + wordField], source.count, data, written);
  }
}

const data = new Int32Array(4);
const written = new Uint8Array(4);
