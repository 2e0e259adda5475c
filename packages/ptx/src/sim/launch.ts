import { BulkEngine } from './bulk.ts';
import { SimCluster } from './cluster.ts';
import type { Compiled } from './compile/compiled.ts';
import { ConstantSpace } from './constant.ts';
import { type Counters, newCounters } from './counters.ts';
import type { SimCta } from './cta.ts';
import { SimulationError } from './faults.ts';
import type { Footprint } from './footprint.ts';
import { GlobalSpace } from './global.ts';
import type { MatrixSums, Site } from './machine.ts';
import type { SimMemory } from './memory.ts';
import { Publications } from './publication.ts';
import type { SimWarp } from './warp.ts';

/** What a launch needs, with every default filled in. */
export interface LaunchConfig {
  readonly grid: readonly [number, number, number];
  readonly cluster: readonly [number, number, number];
  readonly sharedBytes: number;
  readonly params: Uint8Array;
  readonly races: boolean;
  readonly publication: boolean;
  readonly matrixSums: MatrixSums;
  readonly maxResident: number;
  readonly maxRounds: number;
  /** Copies arrive in an order and at times drawn from this; undefined: as late as possible. */
  readonly deliverySeed: number | undefined;
  /** CTAs start from the last to the first. */
  readonly reversed: boolean;
  /** Learns what global memory is touched. */
  readonly footprint: Footprint | undefined;
}

/** Memory barriers of a CTA that are told apart. */
const maxBarriers = 512;

/** Rounds of polling without any change in memory after which nothing can change any more. */
const patience = 20_000;

/** One launch of a compiled kernel: runs its CTAs to the end. */
export class Launch {
  readonly compiled: Compiled;
  readonly grid: readonly [number, number, number];
  readonly block: readonly [number, number, number];
  readonly cluster: readonly [number, number, number];
  readonly warpCount: number;
  /** Whether copies, proxies and clusters need their bookkeeping. */
  readonly asynchronous: boolean;
  /** Room for memory barriers in clocks. */
  readonly barriersPerCta: number;
  readonly bulk: BulkEngine;
  readonly sharedBytes: number;
  readonly races: boolean;
  readonly matrixSums: MatrixSums;
  readonly counters: Counters = newCounters();
  readonly params: Int32Array;
  readonly global: GlobalSpace;
  readonly constant: ConstantSpace;
  readonly publications: Publications | undefined;
  readonly smCount = 132;
  /** Changes of memory so far; while it stands still, polling finds nothing new. */
  changes = 0;
  readonly #memory: SimMemory;
  readonly #config: LaunchConfig;
  readonly #firstSerial: number;
  readonly #idle: SimCluster[] = [];
  #rounds = 0;
  #time = 0;

  constructor(compiled: Compiled, memory: SimMemory, config: LaunchConfig) {
    this.compiled = compiled;
    this.#memory = memory;
    this.#config = config;
    this.grid = config.grid;
    const { block, sharedFields } = compiled.program;
    this.block = block;
    this.cluster = config.cluster;
    this.warpCount = Math.ceil((block[0] * block[1] * block[2]) / 32);
    this.asynchronous = compiled.asynchronous || config.cluster.some((n) => n > 1);
    const words = sharedFields.filter((f) => f.element === 'b64').map((f) => f.bytes / 8);
    const barriers = words.reduce((sum, n) => sum + n, 0);
    this.barriersPerCta = this.asynchronous ? Math.min(barriers, maxBarriers) : 0;
    this.sharedBytes = config.sharedBytes;
    this.races = config.races;
    this.matrixSums = config.matrixSums;
    this.params = new Int32Array(Math.ceil(config.params.length / 4));
    new Uint8Array(this.params.buffer).set(config.params);
    this.#firstSerial = memory.nextSerial;
    this.publications = config.publication ? new Publications(this.#firstSerial) : undefined;
    this.global = new GlobalSpace(memory, this.counters, this.publications, config.footprint);
    this.constant = new ConstantSpace(compiled.program);
    this.bulk = new BulkEngine(this, config.deliverySeed);
    this.global.pending = this.bulk.pendingWrites;
  }

  /** The simulated clock: ticks at each reading. */
  tick(): number {
    this.#time += 32;
    return this.#time | 0;
  }

  /** The multiprocessor a CTA runs on. */
  smOf(serial: number): number {
    return (serial - this.#firstSerial) % this.smCount;
  }

  /** The line of an instruction, for messages. */
  lineOf(site: Site): string {
    const { file, line } = this.compiled.site(site.index).location;
    return `${file}:${line}`;
  }

  /** Counts a round of a loop, to stop kernels that never end. */
  countRound(warp: SimWarp): void {
    if (++this.#rounds <= this.#config.maxRounds) return;
    const problem = `more than ${this.#config.maxRounds} rounds of loops; raise maxRounds if the kernel really needs them`;
    warp.fault('endless', { d: [], s: [], index: 0 }, problem);
  }

  /**
   * Runs all CTAs; pauses whenever one has ended. A CTA starts when the ones before have ended or do
   * nothing but poll.
   */
  *steps(): Generator<void, void> {
    const [x, y, z] = this.grid;
    const [cx, cy, cz] = this.cluster;
    const total = (x * y * z) / (cx * cy * cz);
    const resident: SimCta[] = [];
    let started = 0;
    let still = 0;
    let seen = this.changes;
    // What a launch that failed has left behind.
    this.compiled.takeCounts();
    while (started < total || resident.length > 0) {
      if (resident.length === 0) resident.push(...this.#start(started++));
      let advanced = false;
      for (let i = 0; i < resident.length; i++) {
        const cta = resident[i];
        const step = cta.step();
        if (step.advanced) advanced = true;
        if (step.done) {
          resident.splice(i--, 1);
          if (cta.cluster.done) this.#idle.push(cta.cluster);
          advanced = true;
          yield;
        } else if (!this.asynchronous && isStuck(cta)) {
          this.#deadlock(resident, cta);
        }
      }
      if (this.asynchronous && this.bulk.deliverByChance()) advanced = true;
      if (advanced || this.changes !== seen) {
        seen = this.changes;
        still = 0;
      } else if (this.asynchronous && this.bulk.deliverNext()) {
        still = 0;
      } else if (started < total && resident.length < this.#config.maxResident) {
        const stuck = resident.find(isStuck);
        if (stuck?.cluster.ctas.every((cta) => cta.done || isStuck(cta))) {
          this.#deadlock(resident, stuck);
        }
        resident.push(...this.#start(started++));
      } else if (++still > patience || resident.every(isStuck)) {
        this.#deadlock(resident, resident.find(isStuck) ?? resident[0]);
      }
    }
    this.#summarise();
  }

  #start(count: number): readonly SimCta[] {
    const [x, y, z] = this.grid.map((n, i) => n / this.cluster[i]);
    const number = this.#config.reversed ? x * y * z - 1 - count : count;
    const cluster = this.#idle.pop() ?? new SimCluster(this);
    const index = [number % x, Math.floor(number / x) % y, Math.floor(number / (x * y))] as const;
    cluster.start(index, this.#memory.nextSerial);
    this.#memory.nextSerial += cluster.ctas.length;
    return cluster.ctas;
  }

  #deadlock(resident: readonly SimCta[], culprit: SimCta): never {
    const lines: string[] = [];
    for (const cta of resident.slice(0, 4)) {
      for (const w of cta.warps) {
        if (w.execution === undefined) continue;
        const site = w.blocked && this.compiled.site(w.blocked.site.index);
        const what =
          w.blocked === undefined || site === undefined
            ? 'polls memory that nobody changes'
            : `waits at ${w.blocked.what()}, ${site.location.file}:${site.location.line}`;
        lines.push(`  CTA (${cta.index.join(', ')}) warp ${w.id} ${what}`);
      }
    }
    const warp = culprit.warps.find((w) => w.execution !== undefined) ?? culprit.warps[0];
    const at = this.compiled.site(warp.blocked?.site.index ?? 0);
    const place = {
      kernel: this.compiled.program.name,
      location: at.location,
      instruction: at.name,
      cta: culprit.index,
      warp: warp.id,
      lane: undefined,
      address: undefined,
    };
    const barriers = resident
      .slice(0, 4)
      .flatMap((cta) =>
        cta.mbarriers.states().map((state) => `  CTA (${cta.index.join(', ')}) ${state}`),
      );
    const shown = [...lines.slice(0, 16), ...barriers.slice(0, 16)].join('\n');
    throw new SimulationError('deadlock', place, `no warp can go on:\n${shown}`);
  }

  #summarise(): void {
    const { counters, compiled } = this;
    for (const { kinds, issued, lanes } of compiled.takeCounts()) {
      for (const [kind, n] of Object.entries(kinds)) {
        counters.byKind[kind] = (counters.byKind[kind] ?? 0) + n * issued;
        counters.warpInstructions += n * issued;
        counters.threadInstructions += n * lanes;
      }
    }
  }
}

/** Whether nothing in a CTA can go on by itself. */
function isStuck(cta: SimCta): boolean {
  return cta.warps.every((w) => w.execution === undefined || w.blocked !== undefined);
}
