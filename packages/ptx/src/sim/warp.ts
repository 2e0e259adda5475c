import type { Compiled } from './compile.ts';
import { CopyQueue } from './copies.ts';
import type { SimCta } from './cta.ts';
import { SimulationError } from './faults.ts';
import type { GlobalSpace } from './global.ts';
import type {
  AsyncCopy,
  BulkUnit,
  FaultKind,
  MatrixSums,
  MemoryBarrierUnit,
  MemorySpace,
  Site,
  Warp,
} from './machine.ts';
import type { SharedMemory } from './shared.ts';

/** Raises each clock to the other's. */
export function raise(clocks: Uint32Array, other: Uint32Array): void {
  for (let i = 0; i < other.length; i++) if (other[i] > clocks[i]) clocks[i] = other[i];
}

/** A warp: 32 lanes, their registers, and what they have seen of other warps. */
export class SimWarp implements Warp {
  readonly I: Int32Array;
  readonly F: Float32Array;
  readonly id: number;
  readonly cta: SimCta;
  /** Clocks of the CTA's warps as far as this one has synchronised with them; its own ticks. */
  readonly clock: Uint32Array;
  /** The part of it that fences have covered. */
  readonly fenced: Uint32Array;
  live = 0;
  /** When this warp last read a possible signal, and how much of that it has acquired. */
  observed = 0;
  acquired = 0;
  /** What the warp waits for, for messages; undefined while it can run. */
  blocked: { readonly site: Site; readonly what: string } | undefined;
  /** The suspended program. */
  execution: Generator<undefined, void> | undefined;
  /** Set when the warp has polled since it was last scheduled. */
  polled = false;
  readonly #copies: CopyQueue;

  constructor(cta: SimCta, id: number, compiled: Compiled) {
    this.cta = cta;
    this.id = id;
    const buffer = new ArrayBuffer(compiled.fileWords * 4);
    this.I = new Int32Array(buffer);
    this.F = new Float32Array(buffer);
    for (const { offset, words } of compiled.constants) {
      words.forEach((word, i) => {
        this.I.fill(word, offset + i * 32, offset + i * 32 + 32);
      });
    }
    this.clock = new Uint32Array(cta.warpCount);
    this.fenced = new Uint32Array(cta.warpCount);
    this.#copies = new CopyQueue(cta.shared, cta.launch.global);
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
    throw new Error('the simulator has no clusters yet');
  }

  get mbarriers(): MemoryBarrierUnit {
    throw new Error('the simulator has no memory barriers yet');
  }

  get bulk(): BulkUnit {
    throw new Error('the simulator has no bulk copies yet');
  }

  fenceProxy(): void {}

  arriveCluster(): void {
    throw new Error('the simulator has no clusters yet');
  }

  waitCluster(): boolean {
    throw new Error('the simulator has no clusters yet');
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
    this.observed = 0;
    this.acquired = 0;
    this.blocked = undefined;
    this.polled = false;
    this.clock.fill(0);
    this.fenced.fill(0);
    this.clock[this.id] = 1;
    for (const offset of compiled.unsetMasks) this.I[offset] = 0;
    this.#copies.reset();
    this.execution = compiled.run(this);
  }

  special(register: string, lane: number): number {
    const { launch, index } = this.cta;
    const [x, y] = launch.block;
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
        const values = { ctaid: index, ntid: launch.block, nctaid: launch.grid };
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

  barrier(site: Site, id: number, threads: number | undefined, wait: boolean): boolean {
    return this.cta.barriers.arrive(this, site, id, threads, wait);
  }

  together(site: Site, mask: number, members: number): void {
    const missing = members & this.live & ~mask;
    if (missing === 0) return;
    const hex = (m: number) => `0x${(m >>> 0).toString(16)}`;
    const problem = `names the lanes ${hex(members)} but only ${hex(mask)} execute it together`;
    this.fault('divergence', site, problem, 31 - Math.clz32(missing & -missing));
  }

  syncLanes(): void {
    this.clock[this.id]++;
  }

  /** Learns what another clock knows. */
  join(other: Uint32Array): void {
    raise(this.clock, other);
  }

  fence(gpu: boolean): void {
    const { publications } = this.cta.launch;
    if (!gpu || publications === undefined) return;
    publications.release(this);
    publications.acquire(this);
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
