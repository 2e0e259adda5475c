// What the simulated meaning of instructions may touch. Types only: the builder loads no simulator.

/** An instruction's place in a compiled program: where its registers live in a warp's file. */
export interface Site {
  /** Offsets of the outputs; a 64-bit register's high words lie 32 behind. */
  readonly d: readonly number[];
  /** Offsets of the inputs; constants have registers too. */
  readonly s: readonly number[];
  /** Number in the program's list of instructions, for messages. */
  readonly index: number;
}

/** What went wrong in a simulated kernel. */
export type FaultKind =
  | 'out of bounds'
  | 'misaligned'
  | 'uninitialised read'
  | 'race'
  | 'unpublished read'
  | 'pending copy'
  | 'pending registers'
  | 'proxy'
  | 'cluster'
  | 'divergence'
  | 'barrier'
  | 'deadlock'
  | 'endless'
  | 'division by zero'
  | 'trap';

/** One memory instruction, prepared for execution. */
export interface Access {
  readonly site: Site;
  /** Register holding the address, and the constant added to it. */
  readonly address: number;
  readonly offset: number;
  /** Size of an element, and how many follow one another. */
  readonly bytes: 1 | 2 | 4 | 8;
  readonly count: number;
  /** Registers that receive or hold the elements. */
  readonly data: readonly number[];
  readonly signed: boolean;
  /** Volatile, relaxed, acquire, release or atomic: may be used to synchronise. */
  readonly strong: boolean;
  readonly acquire: boolean;
  readonly release: boolean;
  /** Read-only path: nobody may write the data during the kernel. */
  readonly nc: boolean;
}

/** How an atomic combines: gets the old and the operand's words, leaves the new ones in `out`. */
export type Combine = (out: Int32Array, old: Int32Array, a: Int32Array, b: Int32Array) => void;

/** Memory as one warp sees it. */
export interface MemorySpace {
  load(warp: Warp, access: Access, mask: number): void;
  store(warp: Warp, access: Access, mask: number): void;
  /** Lane after lane; `result` is the register for the old value, −1 for none. */
  atomic(warp: Warp, access: Access, mask: number, combine: Combine, result: number): void;
}

/** Shared memory's additional operations. */
export interface SharedSpace extends MemorySpace {
  /**
   * Checks that the warp may access the 16-byte row at this address and records the access.
   * Returns the index of its first word in `words`.
   */
  row(warp: Warp, site: Site, lane: number, address: number, write: boolean): number;
  readonly words: Int32Array;
  /**
   * What something behind the warp's back (a copy, a matrix instruction) is about to read, in words:
   * it must have been written, have arrived, be known to the warp, and lie before a proxy fence.
   */
  checkCopySource(
    warp: Warp,
    site: Site,
    lane: number | undefined,
    first: number,
    count: number,
  ): void;
  /** From now on until {@link releaseSource} nobody may overwrite these words; holds nest. */
  holdSource(warp: Warp, site: Site, first: number, count: number): void;
  releaseSource(first: number, count: number): void;
  /** The warp knows now that what was held has been read: for its own later synchronisation. */
  readNow(warp: Warp, site: Site, lane: number, first: number, count: number): void;
  /** Counts one pass over the banks by these rows of 16 bytes. */
  countRows(rows: Int32Array, count: number): void;
}

/** An asynchronous copy, prepared for execution. */
export interface AsyncCopy {
  readonly site: Site;
  /** Register and constant part of the shared address. */
  readonly to: number;
  readonly toOffset: number;
  /** The global side: its size is that of the whole copy. */
  readonly source: Access;
  /** Register with the number of bytes to read, −1 for all. */
  readonly sourceBytes: number;
}

export type VoteMode = 'any' | 'all';

/** What a warp brings to a barrier that votes, and where it is told the outcome. */
export interface BarrierVote {
  readonly mode: VoteMode;
  /** The warp's own outcome. */
  readonly yes: boolean;
  /** Register of the outcome, a predicate of these lanes. */
  readonly result: number;
  readonly lanes: number;
}

/** Where an instruction finds an address: a register and the constant added to it. */
export interface Place {
  readonly register: number;
  readonly offset: number;
}

/** Arrives at a memory barrier, prepared for execution. */
export interface BarrierArrival {
  readonly site: Site;
  readonly barrier: Place;
  /** Arrivals counted: 1, or 0 for a mere change of the expected bytes. */
  readonly arrivals: 0 | 1;
  /** Register with the bytes that copies will deliver in this phase, −1 for none. */
  readonly expect: number;
  /** The address names a CTA of the cluster; its order reaches over the cluster. */
  readonly remote: boolean;
}

/** Waits for a phase of a memory barrier, prepared for execution. */
export interface BarrierWait {
  readonly site: Site;
  readonly barrier: Place;
  /** Register with the parity of the phase. */
  readonly parity: number;
  /** What other CTAs of the cluster did is seen too. */
  readonly cluster: boolean;
}

/** Barriers in shared memory, as warps use them. */
export interface MemoryBarrierUnit {
  /** `count` is a register. */
  init(warp: Warp, site: Site, mask: number, barrier: Place, count: number): void;
  invalidate(warp: Warp, site: Site, mask: number, barrier: Place): void;
  arrive(warp: Warp, arrival: BarrierArrival, mask: number): void;
  /** Lanes whose phase is complete. */
  test(warp: Warp, wait: BarrierWait, mask: number): number;
  /** True if all lanes' phases are complete; else the warp is blocked, to ask again later. */
  wait(warp: Warp, wait: BarrierWait, mask: number): boolean;
  /** `fence.mbarrier_init`: barriers initialised so far may be used by copies and other CTAs. */
  fenceInit(warp: Warp): void;
}

/** A copy of the bulk engine, prepared for execution. */
export interface BulkCopy {
  readonly site: Site;
  /** What it does, for messages. */
  readonly what: string;
  readonly to: Place & { readonly space: 'global' | 'shared' | 'cluster' };
  readonly from: Place & { readonly space: 'global' | 'shared' };
  /** Set where the global side is a box: registers with the map's address and the coordinates. */
  readonly box: { readonly map: number; readonly coordinates: readonly number[] } | undefined;
  /** Register with the size, −1 for that of the box. */
  readonly bytes: number;
  /** Counts the bytes as they arrive; copies to global memory form groups instead. */
  readonly barrier: Place | undefined;
  /** Register with the CTAs of the cluster that receive the data, −1: this one. */
  readonly multicast: number;
  /** Adds elements of this type instead of overwriting. */
  readonly add: 'f32' | 'f16' | 'bf16' | 'u32' | 's32' | undefined;
}

/** A store that arrives later in the shared memory of the cluster, prepared for execution. */
export interface AsyncStore {
  readonly site: Site;
  readonly to: Place;
  /** Registers that hold the words, in order of their addresses. */
  readonly words: readonly number[];
  readonly barrier: Place;
}

/** The engine that copies behind the threads' backs. */
export interface BulkUnit {
  start(warp: Warp, copy: BulkCopy, mask: number): void;
  store(warp: Warp, store: AsyncStore, mask: number): void;
  commit(warp: Warp, mask: number): void;
  /** Finishes all but the newest `pending` groups; `read`: only as far as their sources are read. */
  wait(warp: Warp, mask: number, pending: number, read: boolean): void;
}

/** A warp group's multiplication, prepared for execution. */
export interface MatrixMultiply {
  readonly type: 'f16' | 'bf16' | 'e4m3';
  readonly columns: number;
  /** A descriptor's register, or those of a warp's fragments. */
  readonly a: readonly number[];
  readonly b: number;
  readonly transA: boolean;
  readonly transB: boolean;
  /** The accumulator: 4 registers for every 8 columns. */
  readonly d: readonly number[];
}

/** What a proxy fence orders: generic accesses before, asynchronous ones after it, or reversed. */
export type ProxyFence = 'all' | 'shared::cta' | 'global';

/** How the tensor cores add: `exact` rounds once and is fast, `h200` is what an H200 does. */
export type MatrixSums = 'exact' | 'h200';

/** A warp while it executes. */
export interface Warp {
  readonly matrixSums: MatrixSums;
  /** The register file: 32 words per register, as integers and as f32. */
  readonly I: Int32Array;
  readonly F: Float32Array;
  /** Lanes that have not exited. */
  readonly live: number;
  /** Index in its CTA. */
  readonly id: number;
  readonly shared: SharedSpace;
  readonly global: MemorySpace;
  readonly constant: MemorySpace;
  /** Shared memory of all CTAs of the cluster. */
  readonly cluster: MemorySpace;
  readonly mbarriers: MemoryBarrierUnit;
  readonly bulk: BulkUnit;
  /** Words of the parameter buffer. */
  readonly params: Int32Array;
  /** Reads a special register for a lane. */
  special(register: string, lane: number): number;
  copyAsync(copy: AsyncCopy, mask: number): void;
  commitCopies(mask: number): void;
  /** Finishes all but the newest `pending` groups (−1: everything). */
  waitCopies(site: Site, mask: number, pending: number): void;
  /** True if the warp may go on at once. */
  barrier(
    site: Site,
    id: number,
    threads: number | undefined,
    wait: boolean,
    vote?: BarrierVote,
  ): boolean;
  /** Checks that the lanes named by the operand's mask are the ones executing. */
  together(site: Site, mask: number, members: number): void;
  /** Orders the warp's lanes among themselves. */
  syncLanes(): void;
  fence(gpu: boolean): void;
  /** Multiplies with the other warps of the warp group. */
  multiplyGroup(site: Site, multiply: MatrixMultiply, accumulate: boolean): void;
  /** Registers may be handed to the multiplications that follow. */
  fenceMatrices(): void;
  commitMatrices(): void;
  /**
   * Finishes all but the newest `pending` groups of multiplications; false if the warp is blocked until
   * the others of its warp group have come to them, to ask again then.
   */
  waitMatrices(site: Site, pending: number): boolean;
  /** Orders accesses of the generic proxy and of the asynchronous one. */
  fenceProxy(space: ProxyFence): void;
  /** Arrives at the cluster's barrier; `release`: with everything done before. */
  arriveCluster(site: Site, release: boolean): void;
  /** True if the warp may go on at once. */
  waitCluster(site: Site): boolean;
  /** Remembers that the warp polls: others get their turn. */
  pause(): void;
  fault(kind: FaultKind, site: Site, problem: string, lane?: number, address?: number): never;
}

/** An instruction's effect. `false` means: blocked, another warp has to go on first. */
// biome-ignore lint/suspicious/noConfusingVoidType: most instructions have nothing to say.
export type WarpOp = (warp: Warp, mask: number) => void | boolean;
