import { Barriers } from './barriers.ts';
import type { SimCluster } from './cluster.ts';
import type { Launch } from './launch.ts';
import type { Site } from './machine.ts';
import { MatrixGroup } from './matrix-groups.ts';
import { MemoryBarriers } from './mbarriers.ts';
import { SharedMemory } from './shared.ts';
import { SimWarp } from './warp.ts';

/** A warp of another CTA was here: its clock, and the instruction. */
interface Visit {
  readonly warp: SimWarp;
  readonly clock: number;
  readonly site: Site;
  readonly lane: number;
  readonly address: number;
}

/** A CTA on the simulated device: its warps, shared memory and barriers. Reused for many CTAs. */
export class SimCta {
  readonly launch: Launch;
  readonly cluster: SimCluster;
  /** Number in the cluster. */
  readonly rank: number;
  readonly shared: SharedMemory;
  readonly warps: readonly SimWarp[];
  readonly barriers: Barriers;
  readonly mbarriers: MemoryBarriers;
  /** Four warps each; the last may be incomplete. */
  readonly matrixGroups: readonly MatrixGroup[];
  readonly warpCount: number;
  /** Slot of the first warp in clocks. */
  readonly firstSlot: number;
  readonly #threads: number;
  /** The last access of each warp of other CTAs. */
  readonly #visits = new Map<number, Visit>();
  /** Coordinates in the grid. */
  index: readonly [number, number, number] = [0, 0, 0];
  serial = 0;
  done = true;

  constructor(cluster: SimCluster, rank: number) {
    const { launch } = cluster;
    this.launch = launch;
    this.cluster = cluster;
    this.rank = rank;
    this.#threads = launch.block[0] * launch.block[1] * launch.block[2];
    this.warpCount = launch.warpCount;
    this.firstSlot = rank * launch.warpCount;
    this.shared = new SharedMemory(this);
    this.warps = Array.from(
      { length: this.warpCount },
      (_, id) => new SimWarp(this, id, launch.compiled),
    );
    this.matrixGroups = Array.from(
      { length: Math.ceil(this.warpCount / 4) },
      (_, i) => new MatrixGroup(this, i * 4),
    );
    this.barriers = new Barriers(this.warps);
    this.mbarriers = new MemoryBarriers(this);
  }

  /** Starts the CTA with these coordinates. */
  start(index: readonly [number, number, number], serial: number): void {
    this.index = index;
    this.serial = serial;
    this.done = false;
    this.shared.reset();
    this.barriers.reset();
    this.mbarriers.reset();
    this.#visits.clear();
    for (const group of this.matrixGroups) group.reset();
    for (const warp of this.warps) {
      const threads = Math.min(32, this.#threads - warp.id * 32);
      warp.reset(threads === 32 ? -1 : (1 << threads) - 1, this.launch.compiled);
    }
  }

  /**
   * Runs each warp that can run until it waits, polls or ends.
   * @returns whether the CTA has ended, and whether any warp did more than poll.
   */
  step(): { done: boolean; advanced: boolean } {
    let advanced = false;
    let done = true;
    for (const warp of this.warps) {
      if (warp.execution === undefined) continue;
      if (warp.blocked !== undefined) {
        done = false;
        continue;
      }
      warp.polled = false;
      if (warp.execution.next().done) {
        warp.execution = undefined;
        warp.live = 0;
        warp.progressed();
        this.barriers.exited();
        this.cluster.barrier.check();
        advanced = true;
        continue;
      }
      done = false;
      if (!warp.polled) advanced = true;
    }
    if (done && !this.done) {
      this.done = true;
      if (this.launch.asynchronous) this.#checkEnd();
    }
    return { done, advanced };
  }

  /**
   * A warp of another CTA accesses this one's memory, which must have started and not ended. `behind`:
   * by something that reports to a barrier of this CTA, whose waits are proof enough that it came.
   */
  visit(warp: SimWarp, site: Site, lane: number, address: number, behind: boolean): void {
    const { slot, clock } = warp;
    if (this.done) {
      const problem = `accesses the shared memory of CTA ${this.rank} of the cluster, which has ended`;
      warp.fault('cluster', site, problem, lane, address);
    }
    if (!this.warps.some((w) => clock[w.slot] !== 0)) {
      const problem = `accesses the shared memory of CTA ${this.rank} of the cluster before a cluster barrier has shown that it runs`;
      warp.fault('cluster', site, problem, lane, address);
    }
    if (!behind) this.#visits.set(slot, { warp, clock: clock[slot], site, lane, address });
  }

  /** What will have been delivered to a word of shared memory, for messages. */
  copyTo(word: number): string {
    return this.launch.bulk.copyTo(this, word) ?? 'an asynchronous copy';
  }

  /** What reads a word of shared memory behind the threads' backs, for messages. */
  readerOf(word: number): string {
    for (const group of this.matrixGroups) {
      const reader = group.readerOf(word);
      if (reader !== undefined) return reader;
    }
    return this.launch.bulk.readerOf(this, word) ?? 'an asynchronous copy';
  }

  /** The owner of a slot of clocks, as seen from this CTA. */
  nameOf(slot: number): string {
    const { warpSlots, ctas } = this.cluster;
    if (slot >= warpSlots) {
      const rank = Math.floor((slot - warpSlots) / 2 / this.launch.barriersPerCta);
      const bar = ctas[rank].mbarriers.nameOfSlot(slot);
      return `a copy that reports to ${bar}${rank === this.rank ? '' : ` of CTA ${rank}`} delivered`;
    }
    const rank = Math.floor(slot / this.warpCount);
    const warp = `warp ${slot % this.warpCount}`;
    return rank === this.rank ? warp : `${warp} of CTA ${rank}`;
  }

  /** The element of a shared field at this offset, such as `full[1]`. */
  nameAt(offset: number): string {
    const { sharedFields } = this.launch.compiled.program;
    const field = sharedFields.find((f) => offset >= f.offset && offset < f.offset + f.bytes);
    if (field === undefined) return `0x${offset.toString(16)}`;
    const { name, element, shape } = field;
    const index = Math.floor((offset - field.offset) / (element === 'b64' ? 8 : 1));
    if (element !== 'b64') return `${name}+${index}`;
    return shape.length === 1 && shape[0] === 1 ? name : `${name}[${index}]`;
  }

  /** Nothing may still happen to the memory of a CTA that has ended. */
  #checkEnd(): void {
    const known = this.warps[0].empty();
    for (const warp of this.warps) known.learn(warp);
    this.launch.bulk.checkEnd(this);
    for (const group of this.matrixGroups) group.checkEnd();
    this.mbarriers.checkEnd(known.clock);
    for (const { warp, clock, site, lane, address } of this.#visits.values()) {
      if (known.clock[warp.slot] >= clock) continue;
      const problem = `accesses the shared memory of CTA ${this.rank} of the cluster, which ends without waiting for it`;
      warp.fault('cluster', site, problem, lane, address);
    }
  }
}
