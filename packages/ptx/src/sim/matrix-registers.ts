import type { SimWarp } from './warp.ts';

/** Accesses to registers that matrix instructions use, by one instruction or a run of them. */
export interface RegisterUse {
  /** Numbers of the registers, … */
  readonly registers: readonly number[];
  /** … which of them are written, … */
  readonly written: readonly boolean[];
  /** … and the instructions, for messages. */
  readonly sites: readonly number[];
}

/** The registers of one matrix instruction. */
export interface MatrixUse {
  readonly site: number;
  readonly accumulators: readonly number[];
  readonly fragments: readonly number[];
  /** Shape of the product, as a number: the same shapes may follow one another in an accumulator. */
  readonly shape: number;
}

/**
 * Which registers of a warp are in the hands of unfinished matrix instructions, and which have been
 * touched since the last fence.
 */
export class MatrixRegisters {
  /** Fences so far, and the count at the last access and the last write by other instructions. */
  #fences = 0;
  readonly #accessed: Int32Array;
  readonly #written: Int32Array;
  /** Group of the last matrix instruction that uses a register, and its shape (0: a fragment). */
  readonly #group: Int32Array;
  readonly #shape: Int32Array;
  /** Groups closed, and groups known to be finished: groups count from 1. */
  #closed = 0;
  #finished = 0;
  /** Whether the open group has any instruction. */
  #open = false;

  constructor(registers: number) {
    this.#accessed = new Int32Array(registers);
    this.#written = new Int32Array(registers);
    this.#group = new Int32Array(registers);
    this.#shape = new Int32Array(registers);
  }

  reset(): void {
    this.#fences = 0;
    this.#closed = 0;
    this.#finished = 0;
    this.#open = false;
    this.#accessed.fill(0);
    this.#written.fill(0);
    this.#group.fill(0);
  }

  /** The group that the next instruction belongs to. */
  get current(): number {
    return this.#closed + 1;
  }

  fence(): void {
    this.#fences++;
  }

  commit(): void {
    this.#closed++;
    this.#open = false;
  }

  /** Gives the newest group that is finished. */
  wait(pending: number): number {
    this.#finished = Math.max(this.#finished, this.#closed - pending);
    return this.#finished;
  }

  /** Instructions other than `wgmma` access registers. */
  access(w: SimWarp, { registers, written, sites }: RegisterUse): void {
    const busy = this.#open || this.#finished < this.#closed;
    for (let i = 0; i < registers.length; i++) {
      const register = registers[i];
      if (busy && this.#group[register] > this.#finished) {
        this.#faultBusy(w, sites[i], register, written[i] ? 'writes' : 'reads');
      }
      this.#accessed[register] = this.#fences;
      if (written[i]) this.#written[register] = this.#fences;
    }
  }

  /** A matrix instruction takes its registers. */
  use(w: SimWarp, { site, accumulators, fragments, shape }: MatrixUse): void {
    const fences = this.#fences;
    for (const register of accumulators) {
      if (this.#group[register] > this.#finished && this.#shape[register] !== shape) {
        this.#faultBusy(w, site, register, 'takes as accumulator');
      }
      if (this.#accessed[register] === fences) this.#faultFence(w, site);
      this.#group[register] = this.current;
      this.#shape[register] = shape;
    }
    for (const register of fragments) {
      if (this.#group[register] > this.#finished && this.#shape[register] !== 0) {
        this.#faultBusy(w, site, register, 'takes as fragment of A');
      }
      if (this.#written[register] === fences) this.#faultFence(w, site);
      this.#group[register] = this.current;
      this.#shape[register] = 0;
    }
    this.#open = true;
  }

  #faultFence(w: SimWarp, index: number): never {
    const problem =
      this.#fences === 0
        ? 'no wgmmaFence before the first multiplication'
        : 'uses registers that were accessed since the last wgmmaFence';
    return w.fault('pending registers', { d: [], s: [], index }, problem);
  }

  #faultBusy(w: SimWarp, index: number, register: number, verb: string): never {
    const what = this.#shape[register] === 0 ? 'a fragment of A' : 'an accumulator';
    const committed = this.#group[register] <= this.#closed;
    const remedy = committed ? 'wgmmaWait first' : 'wgmmaCommit and wgmmaWait first';
    const problem = `${verb} ${what} of an unfinished wgmma; ${remedy}`;
    return w.fault('pending registers', { d: [], s: [], index }, problem);
  }
}
