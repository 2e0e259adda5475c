import type { SimCta } from './cta.ts';
import type { MatrixMultiply, Site } from './machine.ts';
import { chunksOf, type MatrixPart, readDescriptor } from './matrix-source.ts';
import type { Operand } from './numerics/fragments.ts';
import {
  decodeChunk,
  decodeFragments,
  depthOf,
  type GroupB,
  groupA,
  groupB,
  multiplyRows,
  rowsOfWarp,
} from './numerics/wgmma.ts';
import type { LastWrites } from './races.ts';
import type { SimWarp } from './warp.ts';

/** Warps of a warp group. */
const warpsOfGroup = 4;
const allWarps = 15;

/** Something in shared memory that an unfinished multiplication reads. */
interface Reading {
  readonly chunks: Int32Array;
  readonly site: Site;
  /** Warps that read it, those that have not waited yet, and the clocks at which they had. */
  readonly warps: number;
  waiting: number;
  readonly clocks: Uint32Array;
}

/** A multiplication that some warps of the group have come to and others may not have. */
interface Product {
  readonly site: Site;
  readonly by: SimWarp;
  /** What all warps must agree on. */
  readonly words: readonly number[];
  readonly b: GroupB;
  readonly reading: Reading;
  readonly writes: LastWrites | undefined;
  arrived: number;
}

/** A warp's share in unfinished multiplications. */
interface Share {
  readonly group: number;
  readonly product: Product;
  readonly readings: readonly Reading[];
}

/** The four warps that multiply together: what they have in hand. */
export class MatrixGroup {
  readonly #cta: SimCta;
  readonly #first: number;
  /** Multiplications that not all warps have come to; the first has number `#base`. */
  readonly #products: Product[] = [];
  #base = 0;
  /** Multiplications that each warp has come to. */
  readonly #counts = new Int32Array(warpsOfGroup);
  readonly #shares: Share[][] = [[], [], [], []];
  /** What is read at this moment, for messages. */
  readonly #readings = new Set<Reading>();
  readonly #free: GroupB[] = [];
  readonly #waiting: SimWarp[] = [];

  /** `first`: the first of its four warps. */
  constructor(cta: SimCta, first: number) {
    this.#cta = cta;
    this.#first = first;
  }

  reset(): void {
    this.#products.length = 0;
    this.#base = 0;
    this.#counts.fill(0);
    for (const shares of this.#shares) shares.length = 0;
    this.#readings.clear();
    this.#waiting.length = 0;
  }

  /** A warp computes its rows. */
  multiply(w: SimWarp, site: Site, attrs: MatrixMultiply, accumulate: boolean): void {
    const { type, columns, a, b, d } = attrs;
    if (this.#cta.warps.length < this.#first + warpsOfGroup) {
      w.fault('divergence', site, 'a warp group has four warps; this one is not complete');
    }
    const depth = depthOf(type);
    const bytesPerElement = type === 'e4m3' ? 1 : 2;
    const bAt = readDescriptor(w, site, b);
    const aAt = a.length === 1 ? readDescriptor(w, site, a[0]) : undefined;
    const words = [site.index, accumulate ? 1 : 0, ...bAt, ...(aAt ?? [])];
    const product = this.#product(w, site, words, () => {
      const part = { first: 0, lines: columns, depth, bytesPerElement, transposed: attrs.transB };
      const chunks = chunksOf(w, site, ...bAt, part as MatrixPart);
      const into = this.#free.pop() ?? groupB();
      this.#check(w, site, chunks);
      this.#decode(attrs, chunks, columns, attrs.transB, into.operand);
      into.double.set(into.operand.single.subarray(0, columns * depth));
      return { chunks, into };
    });
    const readings = [product.reading];
    if (aAt === undefined) decodeFragments(type, w.I, a);
    else {
      const rank = w.id - this.#first;
      const part = { lines: rowsOfWarp, depth, bytesPerElement, transposed: attrs.transA };
      const first = rank * rowsOfWarp;
      const chunks = chunksOf(w, site, ...aAt, { ...part, first } as MatrixPart);
      this.#check(w, site, chunks);
      this.#decode(attrs, chunks, rowsOfWarp, attrs.transA, groupA);
      readings.push(this.#hold(w, site, chunks, 1 << rank));
    }
    multiplyRows(type, columns, product.b, w, d, accumulate, w.matrixSums);
    const { current } = w.matrixRegisters;
    this.#shares[w.id - this.#first].push({ group: current, product, readings });
    if (product.arrived === allWarps) this.#wake();
  }

  /**
   * The warp waits for the groups up to this one, which have then read what they read. Nothing is
   * finished before all four warps have come to it: false if the warp is blocked until then.
   */
  wait(w: SimWarp, site: Site, finished: number): boolean {
    const rank = w.id - this.#first;
    const shares = this.#shares[rank];
    const missing = shares.find((s) => s.group <= finished && s.product.arrived !== allWarps);
    if (missing !== undefined) {
      const { product } = missing;
      const what = () =>
        `the multiplication at ${this.#cta.launch.lineOf(product.site)}, to which only ${names(this.#first, product.arrived)} came`;
      w.blocked = { site, what };
      this.#waiting.push(w);
      return false;
    }
    let done = 0;
    while (done < shares.length && shares[done].group <= finished) {
      for (const reading of shares[done++].readings) {
        reading.waiting &= ~(1 << rank);
        reading.clocks[rank] = w.clock[w.slot];
        if (reading.waiting === 0) this.#release(reading);
      }
    }
    shares.splice(0, done);
    return true;
  }

  /** The multiplication that reads a word of shared memory. */
  readerOf(word: number): string | undefined {
    for (const { chunks, site } of this.#readings) {
      const chunk = word & ~3;
      if (chunks.includes(chunk)) return `the wgmma at ${this.#cta.launch.lineOf(site)}`;
    }
    return undefined;
  }

  /** The CTA has ended: nothing may be unfinished. */
  checkEnd(): void {
    const first = this.#products[0];
    if (first !== undefined) {
      const problem = `only some warps of the warp group come to this multiplication (${names(this.#first, first.arrived)})`;
      first.by.fault('divergence', first.site, problem);
    }
    for (const { site, waiting } of this.#readings) {
      const rank = 31 - Math.clz32(waiting & -waiting);
      const problem = 'the CTA ends with an unfinished wgmma; commit and wait first';
      this.#cta.warps[this.#first + rank].fault('pending registers', site, problem);
    }
  }

  /** What the warps share of the next multiplication of `w`; the first to come prepares it. */
  #product(
    w: SimWarp,
    site: Site,
    words: readonly number[],
    prepare: () => { chunks: Int32Array; into: GroupB },
  ): Product {
    const rank = w.id - this.#first;
    const index = this.#counts[rank]++ - this.#base;
    let product = this.#products[index];
    if (product === undefined) {
      const { chunks, into } = prepare();
      const reading = this.#hold(w, site, chunks, allWarps);
      const writes = w.shared.lastWrites(chunks);
      product = { site, by: w, words, b: into, reading, writes, arrived: 0 };
      this.#products.push(product);
    } else if (product.words.some((word, i) => word !== words[i])) {
      const other = product.site === site ? 'with other operands' : 'another one';
      const problem = `warp ${product.by.id} of the same warp group executes the multiplication at ${this.#cta.launch.lineOf(product.site)} instead (${other})`;
      w.fault('divergence', site, problem);
    } else if (product.writes !== undefined && !product.writes.knownTo(w)) {
      this.#check(w, site, product.reading.chunks);
    }
    product.arrived |= 1 << rank;
    return product;
  }

  /** All warps have come to the oldest multiplication: forgets it, and lets those who wait look again. */
  #wake(): void {
    while (this.#products[0]?.arrived === allWarps) {
      const [{ b }] = this.#products.splice(0, 1);
      this.#free.push(b);
      this.#base++;
    }
    for (const w of this.#waiting) {
      w.blocked = undefined;
      w.progressed();
    }
    this.#waiting.length = 0;
  }

  #check(w: SimWarp, site: Site, chunks: Int32Array): void {
    for (let i = 0; i < chunks.length; i++) {
      w.shared.checkCopySource(w, site, undefined, chunks[i], 4);
    }
  }

  #decode(
    { type }: MatrixMultiply,
    chunks: Int32Array,
    lines: number,
    transposed: boolean,
    into: Operand,
  ): void {
    const depth = depthOf(type);
    const perChunk = type === 'e4m3' ? 16 : 8;
    const { words } = this.#cta.shared;
    if (!transposed) {
      for (let i = 0; i < chunks.length; i++) {
        decodeChunk(type, words, chunks[i], into, i * perChunk, 1);
      }
      return;
    }
    const perStep = lines / perChunk;
    for (let i = 0; i < chunks.length; i++) {
      const k = Math.floor(i / perStep);
      const line = (i % perStep) * perChunk;
      decodeChunk(type, words, chunks[i], into, line * depth + k, depth);
    }
  }

  #hold(w: SimWarp, site: Site, chunks: Int32Array, warps: number): Reading {
    const { shared } = this.#cta;
    for (let i = 0; i < chunks.length; i++) shared.holdSource(w, site, chunks[i], 4);
    const clocks = new Uint32Array(warpsOfGroup);
    const reading = { chunks, site, warps, waiting: warps, clocks };
    this.#readings.add(reading);
    w.cta.launch.counters.sharedLoadBytes += chunks.length * 16;
    return reading;
  }

  #release(reading: Reading): void {
    const { chunks, warps, clocks } = reading;
    this.#cta.shared.releaseRead(chunks, this.#first, warps, clocks);
    this.#readings.delete(reading);
  }
}

const names = (first: number, arrived: number): string =>
  [0, 1, 2, 3]
    .filter((rank) => (arrived >>> rank) & 1)
    .map((rank) => `warp ${first + rank}`)
    .join(', ');
