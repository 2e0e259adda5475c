/**
 * The contract between the CUDA backend and its kernels. Types only.
 *
 * A family (`sm80`, `sm90`, …) offers some operations. For each, `plan` turns a problem into printable
 * data, without a GPU: which kernels, in which configuration, with which launch sizes. `bind` turns
 * a plan into a function that enqueues, once per distinct problem; what it returns runs on every call
 * and should only write addresses and launch.
 */

import type { Kernel, ParamDecls, ParamInputs, TensorMapDescription } from '@flash-mla/ptx';
import type {
  AppendArgs,
  ComputeScheduleArgs,
  DenseAttentionArgs,
  DenseDecodeArgs,
  DequantizeArgs,
  QuantizeArgs,
  ScheduleProblem,
  SparseDecodeArgs,
  SparsePrefillArgs,
  TensorView,
} from '../backend.ts';
import type { DeviceLimits } from './limits.ts';
import type {
  AppendProblem,
  ComputeScheduleProblem,
  DenseAttentionProblem,
  DenseDecodeProblem,
  PackRowsProblem,
  SparseDecodeProblem,
  SparsePrefillProblem,
} from './problems.ts';

/**
 * One kernel file's product: a function from configuration to kernel. `Config` is plain data (it must
 * survive JSON) and, with `name` and the PTX target, the key under which compiled code is kept: equal
 * configurations must build equal kernels, and everything that changes the code must be in it.
 */
export interface KernelSpec<Config extends object, P extends ParamDecls = ParamDecls> {
  /** arch_dtype_op, the file's name: `sm80_bf16_dense_decode`. */
  readonly name: string;
  /** Built for `DeviceLimits.specificTarget` (wgmma, TMA, …) instead of `target`. */
  readonly architectureSpecific?: boolean;
  build(config: Config): Kernel<P>;
}

/** One launch of a plan: printable but for the spec, which prints as its name. */
export interface LaunchPlan<Config extends object = object, P extends ParamDecls = ParamDecls> {
  readonly kernel: KernelSpec<Config, P>;
  readonly config: Config;
  /** CTAs. Decided by the problem, never by lengths that live on the device. */
  readonly grid: readonly [number, number, number];
  /** CTAs of a cluster, sm_90 up; the kernel's own unless given. */
  readonly cluster?: readonly [number, number, number];
  /**
   * Programmatic dependent launch: may start before the kernel ahead of it in the stream ends. The
   * kernel must run `griddepcontrol.wait` before it reads or writes anything that earlier work
   * writes or reads. Ignored where the GPU (below sm_90) cannot do it.
   */
  readonly overlap?: boolean;
}

/** What an operation does for a problem: printed by `flash-mla inspect`. */
export interface OperationPlan {
  /** In the order of launching, by role: `main`, `combine`, … */
  readonly launches: Readonly<Record<string, LaunchPlan>>;
  /** Scratch memory of one call, such as the partial results of splits. */
  readonly workspaceBytes: number;
}

/** A compiled kernel with its launch size and its own parameter block. */
export interface PreparedLaunch<P extends ParamDecls = ParamDecls> {
  /**
   * A function that overwrites one parameter, for what changes from call to call. Ask for it in
   * `bind`; calling it costs nanoseconds. Addresses and integers are numbers (below 2^53).
   */
  setter(name: keyof P & string): (value: number) => void;
  /**
   * A function that overwrites one tensor-map parameter (`new Uint8Array(128)` may stand for it until
   * then). Maps are kept by address while shape and options stay the same, so that calling it with
   * known ones costs about as much as {@link setter}'s. Throws `DeclarationError` for what the
   * hardware refuses.
   */
  tensorMapSetter(name: keyof P & string): (map: TensorMapDescription) => void;
  /** Launches with the parameters as they stand; they are copied before this returns. */
  enqueue(): void;
}

/** What `bind` works with. */
export interface BindContext {
  readonly limits: DeviceLimits;
  /**
   * Compiles the kernel (or finds it compiled) and fills its parameter block. Values that `setter`
   * overwrites on every call may be 0 here. Throws `KernelCompileError`.
   */
  prepare<Config extends object, P extends ParamDecls>(
    launch: LaunchPlan<Config, P>,
    values: ParamInputs<P>,
  ): PreparedLaunch<P>;
  /** Device address of a view's first element; 0 for an absent one. */
  address(view: TensorView | undefined): number;
  /**
   * Scratch memory, aligned to 256 bytes, with undefined contents, for the call at hand: ask for it in
   * the bound function, not in `bind`. It may be handed out again to work enqueued later. Throws
   * `OutOfMemoryError`.
   */
  workspace(bytes: number): number;
  /**
   * Counters (u32) that are 0 whenever a kernel starts and that kernels leave at 0: for CTAs of one launch
   * that count one another. All launches share them. Ask in `bind`. Throws `OutOfMemoryError`.
   */
  counters(count: number): number;
  /** Enqueues filling `words` 32-bit words with a value. */
  fill(address: number, word: number, words: number): void;
}

/** One operation of a family. Methods are pure but for what `bind` returns. */
export interface FamilyOperation<Problem, Args, Plan extends OperationPlan = OperationPlan> {
  /** Whether the family has kernels for this problem; absent: for all that the API lets through. */
  accepts?(problem: Problem, limits: DeviceLimits): boolean;
  plan(problem: Problem, limits: DeviceLimits): Plan;
  bind(context: BindContext, plan: Plan, problem: Problem): (args: Args) => void;
}

/** How a decode kernel cuts the queries of a request; decides how many parts a schedule has. */
export interface DecodeTiling {
  /** Query rows (queries × heads that share a KV head) of one CTA. */
  readonly rowsPerTile: number;
  /** CTAs that one SM runs side by side. */
  readonly ctasPerSm: number;
}

/**
 * An operation that follows a tile-scheduler schedule. Its kernels must take any plan: `numParts` and
 * `splitBlocks` may come from another family's tiling. A block is always 64 tokens. Parts are
 * `blockIdx`-parallel with row tiles and KV heads: FlashMLA's grid is (row tiles, KV heads, parts).
 */
export interface DecodeOperation<Problem, Args> extends FamilyOperation<Problem, Args> {
  tiling(problem: ScheduleProblem, limits: DeviceLimits): DecodeTiling;
}

/**
 * Debug mode: finds the first element of an i32 tensor that is out of range, or below the one before it.
 * One CTA: it must only be right. In stream order, so the first report stands.
 */
export interface CheckArgs {
  /** i32 of rank 1, contiguous. */
  readonly values: TensorView;
  /** Inclusive. */
  readonly low: number;
  readonly high: number;
  /** Tells the reports apart; above 0. */
  readonly sequence: number;
  /**
   * Address of i32 [sequence, index, value, 0]. The kernel writes it only if [0] is still 0 and an
   * element is bad: `index` is the smallest bad one's.
   */
  readonly report: number;
}

/** What selection of a check kernel sees. */
export interface CheckProblem {
  /** Elements. */
  readonly count: number;
}

/** A set of kernels for a range of architectures. What it leaves out, the next family does. */
export interface KernelFamily {
  readonly name: string;
  readonly computeSchedule?: FamilyOperation<ComputeScheduleProblem, ComputeScheduleArgs>;
  readonly denseDecode?: DecodeOperation<DenseDecodeProblem, DenseDecodeArgs>;
  readonly sparseDecode?: DecodeOperation<SparseDecodeProblem, SparseDecodeArgs>;
  readonly sparsePrefill?: FamilyOperation<SparsePrefillProblem, SparsePrefillArgs>;
  readonly denseAttention?: FamilyOperation<DenseAttentionProblem, DenseAttentionArgs>;
  readonly quantizeKvCache?: FamilyOperation<PackRowsProblem, QuantizeArgs>;
  readonly dequantizeKvCache?: FamilyOperation<PackRowsProblem, DequantizeArgs>;
  readonly appendKvCache?: FamilyOperation<AppendProblem, AppendArgs>;
  /** Debug mode. */
  readonly check?: FamilyOperation<CheckProblem, CheckArgs>;
}

/** How a family is found: by architecture, and imported only when a device of it is opened. */
export interface FamilyEntry {
  readonly name: string;
  /** Least and largest compute capability × 10; no largest: every later one. */
  readonly from: number;
  readonly to?: number;
  load(): Promise<KernelFamily>;
}
