import type { BulkEngine } from './bulk.ts';
import type { Compiled } from './compile/compiled.ts';
import { CopyQueue } from './copies.ts';
import type { SimCta } from './cta.ts';
import { SimulationError } from './faults.ts';
import type { GlobalSpace } from './global.ts';
import { Knowledge } from './knowledge.ts';
import type {
  AsyncCopy,
  BarrierVote,
  FaultKind,
  MatrixMultiply,
  MatrixSums,
  MemorySpace,
  ProxyFence,
  Site,
  Warp,
} from './machine.ts';
import { MatrixRegisters, type MatrixUse, type RegisterUse } from './matrix-registers.ts';
import type { MemoryBarriers } from './mbarriers.ts';
import type { SharedMemory } from './shared.ts';

/** A warp: 32 lanes, their registers, and what they know of other warps. */
export class SimWarp extends Knowledge implements Warp {
  readonly I: Int32Array;
  readonly F: Float32Array;
  readonly id: number;
  readonly cta: SimCta;
  /** Its own place in clocks, which count over the cluster. */
  readonly slot: number;
  live = 0;
  /** What the warp waits for, for messages; undefined while it can run. */
  blocked: { readonly site: Site; readonly what: () => string } | undefined;
  /** The suspended program. */
  execution: Generator<undefined, void> | undefined;
  /** Set when the warp has polled since it was last scheduled. */
  polled = false;
  readonly matrixRegisters: MatrixRegisters;
  readonly #copies: CopyQueue;

  constructor(cta: SimCta, id: number, compiled: Compiled) {
    super(cta.cluster.clockLength, cta.launch.asynchronous);
    this.cta = cta;
    this.id = id;
    this.slot = cta.firstSlot + id;
    const buffer = new ArrayBuffer(compiled.fileWords * 4);
    this.I = new Int32Array(buffer);
    this.F = new Float32Array(buffer);
    for (const { offset, words } of compiled.constants) {
      words.forEach((word, i) => {
        this.I.fill(word, offset + i * 32, offset + i * 32 + 32);
      });
    }
    this.#copies = new CopyQueue(cta.shared, cta.launch.global);
    this.matrixRegisters = new MatrixRegisters(compiled.matrixRegisters);
  }

  get shared(): SharedMemory {
    return this.cta.shared;
  }

  get global(): GlobalSpace {
    return this.cta.launch.global;
  }

  get constant(): MemorySpace {
    return this.cta.launch.constant;
  }

  get cluster(): MemorySpace {
    return this.cta.cluster.space;
  }

  get mbarriers(): MemoryBarriers {
    return this.cta.mbarriers;
  }

  get bulk(): BulkEngine {
    return this.cta.launch.bulk;
  }

  get matrixSums(): MatrixSums {
    return this.cta.launch.matrixSums;
  }

  get params(): Int32Array {
    return this.cta.launch.params;
  }

  /** Serial number of the CTA. */
  get serial(): number {
    return this.cta.serial;
  }

  /** Makes the warp ready to run another CTA from the start. */
  reset(live: number, compiled: Compiled): void {
    this.live = live;
    this.blocked = undefined;
    this.polled = false;
    this.forget();
    this.clock[this.slot] = 1;
    for (const offset of compiled.unsetMasks) this.I[offset] = 0;
    this.#copies.reset();
    this.matrixRegisters.reset();
    this.execution = compiled.run(this);
  }

  special(register: string, lane: number): number {
    const { launch, index, rank } = this.cta;
    const [x, y] = launch.block;
    const { cluster } = launch;
    const thread = this.id * 32 + lane;
    switch (register) {
      case 'tid.x':
        return thread % x;
      case 'tid.y':
        return Math.floor(thread / x) % y;
      case 'tid.z':
        return Math.floor(thread / (x * y));
      case 'laneid':
        return lane;
      case 'lanemask_eq':
        return 1 << lane;
      case 'lanemask_lt':
        return (1 << lane) - 1;
      case 'lanemask_le':
        return ((2 << lane) - 1) | 0;
      case 'lanemask_gt':
        return ~((2 << lane) - 1);
      case 'lanemask_ge':
        return ~((1 << lane) - 1);
      case 'cluster_ctarank':
        return rank;
      case 'cluster_nctarank':
        return cluster[0] * cluster[1] * cluster[2];
      case 'smid':
        return launch.smOf(this.cta.serial);
      case 'nsmid':
        return launch.smCount;
      case 'dynamic_smem_size':
        return launch.sharedBytes;
      case 'clock':
      case 'clock64':
      case 'globaltimer':
        return launch.tick();
      default: {
        const axis = 'xyz'.indexOf(register.slice(-1));
        const each = (f: (i: number) => number): number[] => [0, 1, 2].map((i) => Math.floor(f(i)));
        const values = {
          ctaid: index,
          ntid: launch.block,
          nctaid: launch.grid,
          cluster_ctaid: each((i) => index[i] % cluster[i]),
          cluster_nctaid: cluster,
          clusterid: each((i) => index[i] / cluster[i]),
          nclusterid: each((i) => launch.grid[i] / cluster[i]),
        };
        return values[register.slice(0, -2) as keyof typeof values][axis];
      }
    }
  }

  copyAsync(copy: AsyncCopy, mask: number): void {
    this.#copies.start(this, copy, mask);
  }

  commitCopies(mask: number): void {
    this.#copies.commit(mask);
  }

  waitCopies(_site: Site, mask: number, pending: number): void {
    this.#copies.wait(this, mask, pending);
  }

  barrier(
    site: Site,
    id: number,
    threads: number | undefined,
    wait: boolean,
    vote?: BarrierVote,
  ): boolean {
    return this.cta.barriers.arrive(this, site, id, threads, wait, vote);
  }

  together(site: Site, mask: number, members: number): void {
    const missing = members & this.live & ~mask;
    if (missing === 0) return;
    const hex = (m: number) => `0x${(m >>> 0).toString(16)}`;
    const problem = `names the lanes ${hex(members)} but only ${hex(mask)} execute it together`;
    this.fault('divergence', site, problem, 31 - Math.clz32(missing & -missing));
  }

  syncLanes(): void {
    this.tick();
  }

  /** What the warp does from now on is not covered by what others have learned so far. */
  tick(): void {
    this.clock[this.slot]++;
  }

  fence(gpu: boolean): void {
    const { publications } = this.cta.launch;
    if (!gpu || publications === undefined) return;
    publications.release(this);
    publications.acquire(this);
  }

  fenceProxy(space: ProxyFence): void {
    if (space !== 'global') this.proxied.set(this.clock);
    if (space !== 'shared::cta') {
      this.proxiedGlobal.set(this.clock);
      this.proxyAcquired = this.acquired;
    }
    this.tick();
  }

  multiplyGroup(site: Site, multiply: MatrixMultiply, accumulate: boolean): void {
    this.cta.matrixGroups[this.id >> 2].multiply(this, site, multiply, accumulate);
  }

  fenceMatrices(): void {
    this.matrixRegisters.fence();
  }

  commitMatrices(): void {
    this.matrixRegisters.commit();
  }

  waitMatrices(site: Site, pending: number): boolean {
    const finished = this.matrixRegisters.wait(pending);
    return this.cta.matrixGroups[this.id >> 2].wait(this, site, finished);
  }

  /** Instructions are about to access registers that matrix instructions use as well. */
  accessRegisters(use: RegisterUse): void {
    this.matrixRegisters.access(this, use);
  }

  /** A matrix instruction is about to take its registers. */
  takeRegisters(use: MatrixUse): void {
    this.matrixRegisters.use(this, use);
  }

  arriveCluster(site: Site, release: boolean): void {
    this.cta.cluster.barrier.arrive(this, site, release);
  }

  waitCluster(site: Site): boolean {
    return this.cta.cluster.barrier.wait(this, site);
  }

  pause(): void {
    this.polled = true;
  }

  /** Memory changed, so whoever polls may find something new. */
  progressed(): void {
    this.cta.launch.changes++;
  }

  /** Called at the end of each round of a loop that may poll; true asks to let others run. */
  poll(): boolean {
    this.cta.launch.countRound(this);
    this.polled = true;
    return true;
  }

  /** Called at the end of each round of any other loop. */
  round(): void {
    this.cta.launch.countRound(this);
  }

  /** Ends lanes. */
  exit(mask: number): void {
    this.live &= ~mask;
  }

  fault(kind: FaultKind, site: Site, problem: string, lane?: number, address?: number): never {
    const { launch, index } = this.cta;
    const { location, name } = launch.compiled.site(site.index);
    throw new SimulationError(
      kind,
      {
        kernel: launch.compiled.program.name,
        location,
        instruction: name,
        cta: index,
        warp: this.id,
        lane,
        address,
      },
      problem,
    );
  }
}
