import type { SimCta } from './cta.ts';
import type { Knowledge } from './knowledge.ts';
import type { BarrierArrival, BarrierWait, MemoryBarrierUnit, Place, Site } from './machine.ts';
import type { SimWarp } from './warp.ts';

/** The most bytes that a phase can announce. */
const maxBytes = 2 ** 20 - 1;

/** A barrier in shared memory. */
interface MemoryBarrier {
  readonly name: string;
  readonly offset: number;
  /** Arrivals of a phase, and how many are still missing. */
  readonly count: number;
  missing: number;
  /** Bytes announced and not delivered; below 0 while copies are ahead of the announcement. */
  bytes: number;
  /** Phases completed. */
  phase: number;
  /** Slot in clocks of what the copy engine delivers; the next one is that of peers' stores. */
  readonly slot: number;
  /** Who made it, when. */
  readonly maker: SimWarp;
  readonly made: number;
  /** A warp that fenced the initialisation, and when. */
  fencer: SimWarp | undefined;
  fencedAt: number;
  /** What arrivals of this CTA, and those of all, have brought so far; what waits learn of it. */
  readonly gathered: { readonly cta: Knowledge; readonly cluster: Knowledge };
  known: { readonly cta: Knowledge; readonly cluster: Knowledge } | undefined;
  readonly waiting: Set<SimWarp>;
  /** Warps whose phase is complete but that have not run since. */
  readonly woken: Map<SimWarp, Site>;
  /** Where the last delivery came from, for the end of the CTA. */
  delivered:
    | {
        readonly clock: number;
        readonly warp: SimWarp;
        readonly site: Site;
        readonly what: () => string;
      }
    | undefined;
}

/** The memory barriers of a CTA. */
export class MemoryBarriers implements MemoryBarrierUnit {
  readonly #cta: SimCta;
  readonly #barriers = new Map<number, MemoryBarrier>();
  /** Slots that offsets have had: a barrier made anew goes on with the clock of the last. */
  readonly #slots = new Map<number, number>();
  /** Phases that each slot has seen completed. */
  readonly #clocks = new Map<number, number>();

  constructor(cta: SimCta) {
    this.#cta = cta;
  }

  reset(): void {
    this.#barriers.clear();
    this.#slots.clear();
    this.#clocks.clear();
  }

  init(w: SimWarp, site: Site, mask: number, barrier: Place, count: number): void {
    const { shared } = this.#cta;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const offset = shared.locate(w, site, lane, w.I[barrier.register + lane] + barrier.offset, 8);
      const name = this.#cta.nameAt(offset);
      if (this.#barriers.has(offset)) {
        w.fault('barrier', site, `initialises ${name} again, which is in use`, lane, offset);
      }
      const arrivals = w.I[count + lane] >>> 0;
      if (arrivals < 1 || arrivals > maxBytes) {
        w.fault('barrier', site, `${name} cannot count ${arrivals} arrivals`, lane, offset);
      }
      shared.markBarrier(w, site, lane, offset >> 2, true);
      this.#barriers.set(offset, {
        name,
        offset,
        count: arrivals,
        missing: arrivals,
        bytes: 0,
        phase: 0,
        slot: this.#slotOf(w, site, lane, offset),
        maker: w,
        made: w.clock[w.slot],
        fencer: undefined,
        fencedAt: 0,
        gathered: { cta: w.empty(), cluster: w.empty() },
        known: undefined,
        waiting: new Set(),
        woken: new Map(),
        delivered: undefined,
      });
    }
    w.progressed();
  }

  invalidate(w: SimWarp, site: Site, mask: number, place: Place): void {
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const bar = this.#find(w, site, lane, place);
      if (bar.bytes !== 0 || bar.waiting.size > 0) {
        w.fault('barrier', site, `ends ${bar.name} amid a phase: ${state(bar)}`, lane, bar.offset);
      }
      this.#barriers.delete(bar.offset);
      this.#cta.shared.markBarrier(w, site, lane, bar.offset >> 2, false);
    }
  }

  fenceInit(w: SimWarp): void {
    for (const bar of this.#barriers.values()) {
      if (bar.fencer !== undefined || w.clock[bar.maker.slot] < bar.made) continue;
      bar.fencer = w;
      bar.fencedAt = w.clock[w.slot];
    }
    w.tick();
  }

  arrive(w: SimWarp, arrival: BarrierArrival, mask: number): void {
    const { site, barrier, arrivals, expect, remote } = arrival;
    learned = undefined;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      if (remote) {
        const address = w.I[barrier.register + lane] + barrier.offset;
        const cta = w.cta.cluster.space.target(w, site, lane, address);
        cta.mbarriers.#arriveOne(
          w,
          site,
          lane,
          cta.mbarriers.signalled(w, site, lane, address),
          arrivals,
          0,
        );
        continue;
      }
      const bar = this.#find(w, site, lane, barrier);
      const bytes = expect < 0 ? 0 : w.I[expect + lane] >>> 0;
      this.#arriveOne(w, site, lane, bar, arrivals, bytes);
    }
    if (arrivals > 0) w.tick();
  }

  test(w: SimWarp, wait: BarrierWait, mask: number): number {
    let passed = 0;
    learned = undefined;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const bar = this.#find(w, wait.site, lane, wait.barrier);
      if (this.#passes(w, wait, lane, bar)) passed |= 1 << lane;
    }
    return passed;
  }

  wait(w: SimWarp, wait: BarrierWait, mask: number): boolean {
    learned = undefined;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const bar = this.#find(w, wait.site, lane, wait.barrier);
      if (this.#passes(w, wait, lane, bar)) continue;
      const parity = w.I[wait.parity + lane];
      bar.waiting.add(w);
      const what = () => `${bar.name}, a phase of parity ${parity} (${state(bar)})`;
      w.blocked = { site: wait.site, what };
      return false;
    }
    return true;
  }

  /** The barrier at a cluster address, for something that signals it from outside of its CTA's warps. */
  signalled(w: SimWarp, site: Site, lane: number, address: number): MemoryBarrier {
    const { shared } = this.#cta;
    const offset = shared.locate(w, site, lane, (address & 0xffffff) | 0, 8);
    const bar = this.#live(w, site, lane, offset);
    const fenced = bar.fencer !== undefined && w.clock[bar.fencer.slot] >= bar.fencedAt;
    if (!fenced && !(w.proxied[bar.maker.slot] >= bar.made)) {
      const problem = `${bar.name} is used by a copy or another CTA, but no fenceMbarrierInit with a barrier behind it came before`;
      w.fault('barrier', site, problem, lane, offset);
    }
    return bar;
  }

  /** Bytes have been delivered by what the warp started at this site. */
  complete(bar: MemoryBarrier, bytes: number, warp: SimWarp, site: Site, what: () => string): void {
    bar.delivered = { clock: (this.#clocks.get(bar.slot) ?? 0) + 1, warp, site, what };
    bar.bytes -= bytes;
    if (bar.bytes < -maxBytes) {
      const problem = `${bar.name} has received ${-bar.bytes} bytes more than it was told to expect`;
      warp.fault('barrier', site, problem, undefined, bar.offset);
    }
    this.#advance(bar, warp, site);
  }

  /** The clock that what is delivered now can be known by; `far`: from another CTA's memory. */
  clockOf(bar: MemoryBarrier, far: boolean): { slot: number; clock: number } {
    return { slot: bar.slot + (far ? 1 : 0), clock: (this.#clocks.get(bar.slot) ?? 0) + 1 };
  }

  /** Every delivery must have been waited for. */
  checkEnd(clock: Uint32Array): void {
    for (const bar of this.#barriers.values()) {
      if (bar.delivered === undefined) continue;
      if (clock[bar.slot] >= bar.delivered.clock) continue;
      const { warp, site, what } = bar.delivered;
      const problem = `the CTA ends without having waited for what ${what()} delivers to ${bar.name}: ${state(bar)}`;
      warp.fault('pending copy', site, problem, undefined, bar.offset);
    }
  }

  /** The barrier that reports under a slot of clocks. */
  nameOfSlot(slot: number): string {
    for (const [offset, first] of this.#slots) {
      if (first === slot || first + 1 === slot) return this.#cta.nameAt(offset);
    }
    return 'a barrier';
  }

  /** All barriers that are amid a phase, for the report of a deadlock. */
  states(): string[] {
    const lines: string[] = [];
    for (const bar of this.#barriers.values()) {
      if (bar.missing !== bar.count || bar.bytes !== 0) lines.push(`${bar.name}: ${state(bar)}`);
    }
    return lines;
  }

  #arriveOne(
    w: SimWarp,
    site: Site,
    lane: number,
    bar: MemoryBarrier,
    arrivals: 0 | 1,
    bytes: number,
  ): void {
    const { offset, name } = bar;
    bar.bytes += bytes;
    if (bytes > maxBytes || bar.bytes > maxBytes) {
      const problem = `${name} would expect ${bar.bytes} bytes in a phase; ${maxBytes} is the most`;
      w.fault('barrier', site, problem, lane, offset);
    }
    if (arrivals > 0) {
      if (bar.missing === 0) {
        const why = bar.bytes === 0 ? '' : ` (${bytesText(bar.bytes)})`;
        const problem = `arrives at ${name}, which has had its ${bar.count} arrivals of this phase${why}`;
        w.fault('barrier', site, problem, lane, offset);
      }
      bar.missing--;
      if (bar !== learned) {
        if (w.cta === this.#cta) bar.gathered.cta.learn(w);
        bar.gathered.cluster.learn(w);
        learned = bar;
      }
    }
    this.#advance(bar, w, site);
  }

  /** Goes on to the next phase if this one is complete. */
  #advance(bar: MemoryBarrier, w: SimWarp, site: Site): void {
    w.progressed();
    if (bar.missing > 0 || bar.bytes !== 0) return;
    for (const late of bar.woken.keys()) {
      const at = bar.woken.get(late) ?? site;
      const problem = `${bar.name} has completed two phases before this warp, which waits for the first, could see it`;
      late.fault('barrier', at, problem, undefined, bar.offset);
    }
    const clock = (this.#clocks.get(bar.slot) ?? 0) + 1;
    this.#clocks.set(bar.slot, clock);
    const { cta, cluster } = bar.gathered;
    cta.clock[bar.slot] = clock;
    cluster.clock[bar.slot] = clock;
    cluster.clock[bar.slot + 1] = clock;
    bar.known = { cta: cta.snapshot(), cluster: cluster.snapshot() };
    bar.phase++;
    bar.missing = bar.count;
    for (const waiting of bar.waiting) {
      if (waiting.blocked !== undefined) bar.woken.set(waiting, waiting.blocked.site);
      waiting.blocked = undefined;
    }
    bar.waiting.clear();
  }

  #passes(w: SimWarp, wait: BarrierWait, lane: number, bar: MemoryBarrier): boolean {
    const parity = w.I[wait.parity + lane] >>> 0;
    if (parity > 1) {
      const problem = `a phase of ${bar.name} has parity 0 or 1, not ${parity}`;
      w.fault('barrier', wait.site, problem, lane, bar.offset);
    }
    bar.woken.delete(w);
    if ((bar.phase & 1) === parity) return false;
    if (bar.known !== undefined && bar !== learned) {
      w.learn(wait.cluster ? bar.known.cluster : bar.known.cta);
      learned = bar;
    }
    return true;
  }

  /** The barrier of this CTA at an address, which the warp must know to be there. */
  #find(w: SimWarp, site: Site, lane: number, { register, offset }: Place): MemoryBarrier {
    const at = this.#cta.shared.locate(w, site, lane, w.I[register + lane] + offset, 8);
    const bar = this.#live(w, site, lane, at);
    if (w.clock[bar.maker.slot] < bar.made) {
      const problem = `uses ${bar.name}, which warp ${bar.maker.id} initialised with no barrier between`;
      w.fault('race', site, problem, lane, at);
    }
    return bar;
  }

  #live(w: SimWarp, site: Site, lane: number, offset: number): MemoryBarrier {
    const bar = this.#barriers.get(offset);
    if (bar === undefined) {
      const problem = `no barrier has been initialised at ${this.#cta.nameAt(offset)}`;
      w.fault('barrier', site, problem, lane, offset);
    }
    return bar;
  }

  #slotOf(w: SimWarp, site: Site, lane: number, offset: number): number {
    const { cluster, launch, rank } = this.#cta;
    let slot = this.#slots.get(offset);
    if (slot === undefined) {
      if (this.#slots.size >= launch.barriersPerCta) {
        const problem = `more than ${launch.barriersPerCta} barriers; declare them as fields of b64`;
        w.fault('barrier', site, problem, lane, offset);
      }
      slot = cluster.warpSlots + 2 * (rank * launch.barriersPerCta + this.#slots.size);
      this.#slots.set(offset, slot);
    }
    return slot;
  }
}

/** Lanes of one instruction mostly use the same barrier: knowledge changes hands once for it. */
let learned: MemoryBarrier | undefined;

export type { MemoryBarrier };

const bytesText = (bytes: number): string =>
  bytes < 0 ? `${-bytes} bytes too many have come` : `${bytes} bytes are still to come`;

/** How far a barrier's phase is. */
function state({ phase, count, missing, bytes }: MemoryBarrier): string {
  const tail = bytes === 0 ? '' : `, ${bytesText(bytes)}`;
  return `phase ${phase}: ${count - missing} of ${count} arrivals${tail}`;
}
