import { addressOf, type GlobalSpace } from './global.ts';
import type { Access, AsyncCopy } from './machine.ts';
import type { SharedMemory } from './shared.ts';
import type { SimWarp } from './warp.ts';

/** A lane's copy that has been started and not waited for. */
interface Pending {
  readonly lane: number;
  /** The lane's group it belongs to: its commits counted before it. */
  readonly group: number;
  readonly word: number;
  readonly address: number;
  readonly size: number;
  readonly sourceBytes: number;
  readonly source: Access;
}

/**
 * The asynchronous copies of a warp. Data moves when it is waited for, as late as the hardware could
 * do it; until then the destination must not be touched.
 */
export class CopyQueue {
  #pending: Pending[] = [];
  readonly #commits = new Int32Array(32);
  readonly #shared: SharedMemory;
  readonly #global: GlobalSpace;

  constructor(shared: SharedMemory, global: GlobalSpace) {
    this.#shared = shared;
    this.#global = global;
  }

  reset(): void {
    this.#pending = [];
    this.#commits.fill(0);
  }

  start(w: SimWarp, copy: AsyncCopy, mask: number): void {
    const { site, source } = copy;
    const bytes = source.count * 4;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const word = this.#shared.beginCopy(
        w,
        site,
        lane,
        w.I[copy.to + lane] + copy.toOffset,
        bytes,
      );
      const address = addressOf(w.I, source.address, lane, source.offset);
      const sourceBytes = copy.sourceBytes < 0 ? bytes : w.I[copy.sourceBytes + lane] >>> 0;
      if (sourceBytes > bytes) {
        w.fault('out of bounds', site, `reads ${sourceBytes} of ${bytes} bytes`, lane, address);
      }
      const group = this.#commits[lane];
      this.#pending.push({ lane, group, word, address, size: bytes, sourceBytes, source });
    }
  }

  commit(mask: number): void {
    for (let lane = 0; lane < 32; lane++) this.#commits[lane] += (mask >>> lane) & 1;
  }

  /** Delivers all but each lane's newest `pending` groups; −1 delivers everything. */
  wait(w: SimWarp, mask: number, pending: number): void {
    const rest: Pending[] = [];
    for (const copy of this.#pending) {
      const due = pending < 0 || copy.group < this.#commits[copy.lane] - pending;
      if (due && ((mask >>> copy.lane) & 1) !== 0) this.#deliver(w, copy);
      else rest.push(copy);
    }
    this.#pending = rest;
  }

  #deliver(w: SimWarp, copy: Pending): void {
    const { lane, word, address, size, sourceBytes, source } = copy;
    const words = size >> 2;
    const data = buffers[words];
    data.fill(0);
    const written = masks[words];
    written.fill(15);
    this.#global.fetch(w, source, lane, address, sourceBytes, data, written);
    this.#shared.endCopy(w, lane, word, data, written);
  }
}

const buffers = [0, 1, 2, 3, 4].map((n) => new Int32Array(n));
const masks = [0, 1, 2, 3, 4].map((n) => new Uint8Array(n));
