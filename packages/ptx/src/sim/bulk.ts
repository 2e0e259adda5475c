import { sharedBase } from '../builder/shared.ts';
import { paramBase } from './addresses.ts';
import { boxRows, bytesOfBox } from './boxes.ts';
import type { SimCta } from './cta.ts';
import { addressOf } from './global.ts';
import { type GlobalSide, imageOf, permute, rangesOf } from './global-side.ts';
import type { Launch } from './launch.ts';
import type { AsyncStore, BulkCopy, BulkUnit, Combine, Place, Site } from './machine.ts';
import type { MemoryBarrier } from './mbarriers.ts';
import { combineOf } from './numerics/atomic.ts';
import { PendingWrites, type Range } from './pending-writes.ts';
import { type DecodedMap, decodeTensorMap } from './tensor-map.ts';
import type { SimWarp } from './warp.ts';

/** What the engine was asked for, by whom. */
export interface Started {
  readonly warp: SimWarp;
  readonly site: Site;
  readonly lane: number;
  readonly what: string;
}

/** Words of shared memory. */
interface Words {
  readonly cta: SimCta;
  readonly first: number;
  readonly count: number;
}

/** Something on its way to shared memory. */
interface Flight extends Started {
  readonly targets: readonly Words[];
  readonly barrier: MemoryBarrier;
  /** Comes out of another CTA's memory or registers. */
  readonly far: boolean;
  readonly source: GlobalSide | Words | readonly Int32Array[];
}

/** A copy to global memory. */
interface Store extends Started {
  readonly group: number;
  readonly source: Words;
  readonly target: GlobalSide;
  readonly combine: Combine | undefined;
  /** What was read, as soon as somebody waits for that. */
  data: Int32Array | undefined;
}

/**
 * The copy engine. Nothing that it is asked for happens at once: what goes to shared memory arrives
 * when no warp can go on, what goes to global memory when somebody waits for it.
 */
export class BulkEngine implements BulkUnit {
  readonly pendingWrites = new PendingWrites();
  readonly #launch: Launch;
  readonly #flights: Flight[] = [];
  readonly #stores = new Map<SimWarp, { readonly commits: Int32Array; list: Store[] }>();
  readonly #maps = new Map<number, DecodedMap>();
  #random: number | undefined;

  constructor(launch: Launch, seed: number | undefined) {
    this.#launch = launch;
    this.#random = seed;
  }

  start(w: SimWarp, copy: BulkCopy, mask: number): void {
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      if (copy.barrier === undefined) this.#startStore(w, copy, lane);
      else if (copy.to.space === 'cluster') this.#startCopy(w, copy, copy.barrier, lane);
      else this.#startLoad(w, copy, copy.barrier, lane);
    }
  }

  store(w: SimWarp, { site, to, words, barrier }: AsyncStore, mask: number): void {
    const flights = new Map<
      MemoryBarrier,
      { targets: Words[]; source: Int32Array[]; lane: number }
    >();
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const { cta, offset } = this.#clusterPlace(w, site, lane, to, words.length * 4);
      const bar = this.#clusterBarrier(w, site, lane, cta, barrier);
      const target = { cta, first: offset >> 2, count: words.length };
      cta.shared.beginDelivery(w, site, lane, target.first, target.count, false);
      const flight = flights.get(bar) ?? { targets: [], source: [], lane };
      flight.targets.push(target);
      flight.source.push(Int32Array.from(words, (register) => w.I[register + lane]));
      flights.set(bar, flight);
    }
    const what = 'the asynchronous store';
    for (const [bar, { targets, source, lane }] of flights) {
      this.#flights.push({ warp: w, site, lane, what, targets, barrier: bar, far: true, source });
    }
    w.tick();
  }

  commit(w: SimWarp, mask: number): void {
    const { commits } = this.#storesOf(w);
    for (let lane = 0; lane < 32; lane++) commits[lane] += (mask >>> lane) & 1;
  }

  wait(w: SimWarp, mask: number, pending: number, read: boolean): void {
    const stores = this.#storesOf(w);
    stores.list = stores.list.filter((store) => {
      const { lane, group } = store;
      if (((mask >>> lane) & 1) === 0 || group >= stores.commits[lane] - pending) return true;
      this.#read(store);
      if (!read) this.#write(store);
      return read;
    });
  }

  /** With a seed: now and then something arrives early. Says whether it did. */
  deliverByChance(): boolean {
    if (this.#random === undefined || this.#flights.length === 0) return false;
    return this.#draw(3) === 0 && this.deliverNext();
  }

  /** Lets the next of what is on its way arrive; false if there is nothing. */
  deliverNext(): boolean {
    const count = this.#flights.length;
    if (count === 0) return false;
    const [flight] = this.#flights.splice(this.#random === undefined ? 0 : this.#draw(count), 1);
    this.#deliver(flight);
    return true;
  }

  /** The copy that will deliver a word of a CTA's shared memory. */
  copyTo(cta: SimCta, word: number): string | undefined {
    const flight = this.#flights.find(({ targets }) => targets.some((t) => covers(t, cta, word)));
    return flight && this.#name(flight);
  }

  /** The copy that still reads a word of a CTA's shared memory. */
  readerOf(cta: SimCta, word: number): string | undefined {
    const isSource = ({ source }: Flight | Store) => 'cta' in source && covers(source, cta, word);
    const flight = this.#flights.find(isSource);
    if (flight !== undefined) return this.#name(flight);
    for (const { list } of this.#stores.values()) {
      const store = list.find((s) => s.data === undefined && isSource(s));
      if (store !== undefined) return this.#name(store);
    }
    return undefined;
  }

  /** A CTA has ended: nothing may be on its way to or from its memory. */
  checkEnd(cta: SimCta): void {
    for (const flight of this.#flights) {
      const { warp, site, lane, targets, source } = flight;
      const uses = targets.some((t) => t.cta === cta) || ('cta' in source && source.cta === cta);
      if (!uses) continue;
      const problem = `CTA (${cta.index.join(', ')}) ends while ${this.#name(flight)} is on its way; wait for its barrier first`;
      warp.fault('pending copy', site, problem, lane);
    }
    for (const warp of cta.warps) {
      const stores = this.#stores.get(warp);
      if (stores === undefined) continue;
      for (const store of stores.list) {
        if (store.data === undefined) {
          const problem = `the CTA ends while ${this.#name(store)} still reads its memory; commit and wait (read) first`;
          warp.fault('pending copy', store.site, problem, store.lane);
        }
        this.#write(store);
      }
      this.#stores.delete(warp);
    }
  }

  #startLoad(w: SimWarp, copy: BulkCopy, barrier: Place, lane: number): void {
    const { site } = copy;
    const source = this.#globalSide(w, copy, copy.from, lane);
    for (const { address, size } of rangesOf(source)) {
      this.#launch.global.checkCopySource(w, site, lane, address, size);
    }
    const offset = this.#sharedPlace(w, copy, copy.to, lane, source);
    const bar = w.shared.locate(w, site, lane, w.I[barrier.register + lane] + barrier.offset, 8);
    for (const cta of this.#receivers(w, copy, lane, offset)) {
      const target = { cta, first: offset >> 2, count: source.bytes / 4 };
      cta.shared.beginDelivery(w, site, lane, target.first, target.count, true);
      const known = cta.mbarriers.signalled(w, site, lane, bar + sharedBase);
      this.#fly(w, copy, lane, target, known, false, source);
    }
    w.tick();
  }

  #startCopy(w: SimWarp, copy: BulkCopy, barrier: Place, lane: number): void {
    const { site, from, to } = copy;
    const bytes = this.#size(w, copy, lane);
    const first = this.#aligned(w, site, lane, w.I[from.register + lane] + from.offset, bytes, 16);
    const source = { cta: w.cta, first: first >> 2, count: bytes / 4 };
    w.shared.checkCopySource(w, site, lane, source.first, source.count);
    const { cta, offset } = this.#clusterPlace(w, site, lane, to, 16);
    this.#inside(w, site, lane, cta, offset, bytes);
    const bar = this.#clusterBarrier(w, site, lane, cta, barrier);
    const target = { cta, first: offset >> 2, count: bytes / 4 };
    cta.shared.beginDelivery(w, site, lane, target.first, target.count, true);
    w.shared.holdSource(w, site, source.first, source.count);
    this.#fly(w, copy, lane, target, bar, true, source);
    w.tick();
  }

  #startStore(w: SimWarp, copy: BulkCopy, lane: number): void {
    const { site, add } = copy;
    const target = this.#globalSide(w, copy, copy.to, lane);
    const offset = this.#sharedPlace(w, copy, copy.from, lane, target);
    const source = { cta: w.cta, first: offset >> 2, count: target.bytes / 4 };
    w.shared.checkCopySource(w, site, lane, source.first, source.count);
    w.shared.holdSource(w, site, source.first, source.count);
    const stores = this.#storesOf(w);
    const type = add === 'f16' || add === 'bf16' ? `${add}x2` : add;
    const store: Store = {
      warp: w,
      site,
      lane,
      what: copy.what,
      group: stores.commits[lane],
      source,
      target,
      combine: type === undefined ? undefined : combineOf('add', type, 'bulk'),
      data: undefined,
    };
    const rows = [...rangesOf(target)].map(({ address, size }): Range => {
      this.#launch.global.checkTarget(w, site, lane, address, size, type !== undefined);
      return [address, address + size];
    });
    const adds = store.combine !== undefined;
    this.pendingWrites.add(store, { what: () => this.#name(store), rows, adds });
    stores.list.push(store);
    w.tick();
  }

  #fly(
    w: SimWarp,
    { site, what }: BulkCopy,
    lane: number,
    target: Words,
    barrier: MemoryBarrier,
    far: boolean,
    source: Flight['source'],
  ): void {
    this.#flights.push({
      warp: w,
      site,
      lane,
      what,
      targets: [target],
      barrier,
      far,
      source,
    });
  }

  #deliver(flight: Flight): void {
    const { warp, site, targets, barrier, far, source } = flight;
    const { cta } = targets[0];
    const { slot, clock } = cta.mbarriers.clockOf(barrier, far);
    let bytes = 0;
    targets.forEach((target, i) => {
      const { first, count } = target;
      const written = new Uint8Array(count).fill(15);
      let data: Int32Array;
      if ('cta' in source) {
        data = source.cta.shared.words.slice(source.first, source.first + count);
        source.cta.shared.releaseSource(source.first, count);
        source.cta.shared.readBehind(slot, clock, source.first, count);
      } else if ('bytes' in source) {
        data = imageOf(this.#launch.global, flight, source, first * 4, written);
      } else data = source[i];
      cta.shared.deliver(slot, clock, first, data, written, count);
      bytes += count * 4;
    });
    cta.mbarriers.complete(barrier, bytes, warp, site, () => this.#name(flight));
  }

  /** The source of a store has been read; whoever waits knows that it may change. */
  #read(store: Store): void {
    if (store.data !== undefined) return;
    const { warp, site, lane, source } = store;
    const { first, count, cta } = source;
    store.data = cta.shared.words.slice(first, first + count);
    cta.shared.releaseSource(first, count);
    cta.shared.readNow(warp, site, lane, first, count);
  }

  /** What a store has read arrives. */
  #write(store: Store): void {
    const { warp, site, lane, source, target, combine, data } = store;
    if (data === undefined) return;
    this.pendingWrites.remove(store);
    const bytes = new Uint8Array(data.buffer, 0, target.bytes);
    const { map } = target;
    const { global } = this.#launch;
    if (map === undefined) {
      global.copyOut(warp, site, lane, target.address, bytes, combine);
      return;
    }
    permute(data, source.first * 4, map);
    for (const { place, from, to, address } of boxRows(map, target.coordinates)) {
      if (from === to) continue;
      global.copyOut(warp, site, lane, address, bytes.subarray(place + from, place + to), combine);
    }
  }

  /** The CTAs that a load delivers to. */
  #receivers(w: SimWarp, copy: BulkCopy, lane: number, offset: number): readonly SimCta[] {
    if (copy.multicast < 0) return [w.cta];
    const mask = w.I[copy.multicast + lane] & 0xffff;
    const { ctas } = w.cta.cluster;
    if (mask === 0 || mask >= 2 ** ctas.length) {
      const problem = `a multicast to the CTAs 0x${mask.toString(16)} of a cluster of ${ctas.length}`;
      w.fault('cluster', copy.site, problem, lane);
    }
    const receivers = ctas.filter(({ rank }) => (mask >>> rank) & 1);
    for (const cta of receivers) {
      if (cta !== w.cta) cta.visit(w, copy.site, lane, offset, true);
    }
    return receivers;
  }

  #globalSide(w: SimWarp, copy: BulkCopy, place: Place, lane: number): GlobalSide {
    const { site, box } = copy;
    if (box === undefined) {
      const address = addressOf(w.I, place.register, lane, place.offset);
      if (address % 16 !== 0) {
        w.fault('misaligned', site, 'a bulk copy from or to a multiple of 16', lane, address);
      }
      return { address, bytes: this.#size(w, copy, lane), map: undefined, coordinates: [] };
    }
    const map = this.#map(w, site, lane, addressOf(w.I, box.map, lane, 0));
    if (box.coordinates.length !== map.rank) {
      const problem = `${box.coordinates.length} coordinates for a tensor map of ${map.rank} dimensions`;
      w.fault('out of bounds', site, problem, lane);
    }
    const coordinates = box.coordinates.map((register) => w.I[register + lane]);
    this.#checkCorner(w, copy, lane, map, coordinates);
    return { address: map.address, bytes: bytesOfBox(map), map, coordinates };
  }

  /** Where a box may start; a GPU faults otherwise (illegal instruction). */
  #checkCorner(
    w: SimWarp,
    { site, to }: BulkCopy,
    lane: number,
    { elementBytes }: DecodedMap,
    coordinates: readonly number[],
  ): void {
    const at = () => `a box at (${coordinates.join(', ')})`;
    const first = coordinates[0] * elementBytes;
    if (first % 16 !== 0) {
      const problem = `${at()} starts ${first} bytes into its row, which must be a multiple of 16`;
      w.fault('misaligned', site, problem, lane);
    }
    if (to.space === 'global' && coordinates.some((c) => c < 0)) {
      const problem = `${at()} of a store: a box may end outside of the tensor, but not start below 0`;
      w.fault('out of bounds', site, problem, lane);
    }
  }

  #map(w: SimWarp, site: Site, lane: number, address: number): DecodedMap {
    let map = this.#maps.get(address);
    if (map === undefined) {
      const { params } = this.#launch;
      const bytes = new Uint8Array(params.buffer, params.byteOffset, params.byteLength);
      const at = address - paramBase;
      if (at >= 0 && at + 128 <= bytes.length) map = decodeTensorMap(bytes.subarray(at, at + 128));
      if (map === undefined) {
        const problem = 'there is no tensor map; encodeTensorMap makes those of the simulator';
        w.fault('out of bounds', site, problem, lane, address);
      }
      this.#maps.set(address, map);
    }
    return map;
  }

  #size(w: SimWarp, { site, bytes }: BulkCopy, lane: number): number {
    const size = w.I[bytes + lane] >>> 0;
    if (size === 0 || size % 16 !== 0) {
      w.fault('misaligned', site, `bulk copies move multiples of 16 bytes, not ${size}`, lane);
    }
    return size;
  }

  #sharedPlace(
    w: SimWarp,
    { site }: BulkCopy,
    place: Place,
    lane: number,
    { bytes, map }: GlobalSide,
  ): number {
    const address = w.I[place.register + lane] + place.offset;
    return this.#aligned(w, site, lane, address, bytes, map === undefined ? 16 : 128);
  }

  /** Offset of `bytes` bytes of this CTA's shared memory at an aligned address. */
  #aligned(
    w: SimWarp,
    site: Site,
    lane: number,
    address: number,
    bytes: number,
    alignment: number,
  ): number {
    const offset = w.shared.locate(w, site, lane, address, 16);
    if (offset % alignment !== 0) {
      const problem = `a copy of ${bytes} bytes at offset ${offset} of shared memory, which is no multiple of ${alignment}`;
      w.fault('misaligned', site, problem, lane, offset);
    }
    this.#inside(w, site, lane, w.cta, offset, bytes);
    return offset;
  }

  #inside(w: SimWarp, site: Site, lane: number, cta: SimCta, offset: number, bytes: number): void {
    const { sharedBytes } = cta.launch;
    if (offset + bytes <= sharedBytes) return;
    const problem = `${bytes} bytes at offset ${offset} of the CTA's ${sharedBytes} bytes of shared memory`;
    w.fault('out of bounds', site, problem, lane, offset);
  }

  /** The CTA and the offset that a cluster address names. */
  #clusterPlace(
    w: SimWarp,
    site: Site,
    lane: number,
    place: Place,
    size: number,
  ): { cta: SimCta; offset: number } {
    const address = w.I[place.register + lane] + place.offset;
    const cta = w.cta.cluster.space.target(w, site, lane, address, true);
    return { cta, offset: cta.shared.locate(w, site, lane, address & 0xffffff, size) };
  }

  /** The barrier that counts what arrives in a CTA: it must be one of its own. */
  #clusterBarrier(
    w: SimWarp,
    site: Site,
    lane: number,
    cta: SimCta,
    { register, offset }: Place,
  ): MemoryBarrier {
    const address = w.I[register + lane] + offset;
    if (w.cta.cluster.space.target(w, site, lane, address, true) !== cta) {
      const problem = 'the data and the barrier that counts it belong to different CTAs';
      w.fault('cluster', site, problem, lane, address);
    }
    return cta.mbarriers.signalled(w, site, lane, address);
  }

  #storesOf(w: SimWarp) {
    let stores = this.#stores.get(w);
    if (stores === undefined) {
      stores = { commits: new Int32Array(32), list: [] };
      this.#stores.set(w, stores);
    }
    return stores;
  }

  /** What an operation is and where it was started; takes long. */
  #name({ what, site }: Started): string {
    return `${what} at ${this.#launch.lineOf(site)}`;
  }

  /** A number below `n`. */
  #draw(n: number): number {
    this.#random = (Math.imul(this.#random ?? 1, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * n);
  }
}

const covers = (words: Words, cta: SimCta, word: number): boolean =>
  words.cta === cta && word >= words.first && word < words.first + words.count;
