/**
 * The contract between the CUDA runtime and the kernels of operations. Types only.
 *
 * A call becomes a *problem*: plain, printable data without addresses. The first kernel whose `accepts`
 * says yes takes it. `keyOf` says what of the problem decides the compiled code; `plan` turns the
 * problem into launches, without a GPU; `bind` compiles them once for each key and gives the function
 * that runs on every call with that key: it writes addresses, sizes and scalars, and launches.
 */

import type {
  ArrayParam,
  Kernel,
  ParamDecls,
  ScalarParam,
  TensorElement,
  TensorMapDescription,
  TensorMapParam,
} from '@flash-mla/ptx';
import type { AnyOperation, Operation } from '../operation/operation.ts';
import type { TensorView } from '../tensor/view.ts';
import type { Grid } from './driver/driver.ts';
import type { DeviceLimits } from './limits.ts';

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
  readonly grid: Grid;
  /** CTAs of a cluster, sm_90 up; the kernel's own unless given. */
  readonly cluster?: readonly [number, number, number];
  /**
   * Programmatic dependent launch: may start before the kernel ahead of it in the stream ends. The
   * kernel must run `griddepcontrol.wait` before it reads or writes anything that earlier work
   * writes or reads; what is {@link BindContext.isConstant} it may read before. Ignored where the GPU
   * (below sm_90) cannot do it.
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

/** Overwrites one parameter. Addresses and integers are numbers (below 2^53). */
type ParamSetter<P extends ParamDecls[string]> =
  P extends ArrayParam<ScalarParam>
    ? (values: readonly number[]) => void
    : P extends TensorMapParam<TensorElement>
      ? (map: TensorMapDescription) => void
      : (value: number) => void;

/** A function for each parameter of a kernel. */
export type ParamSetters<P extends ParamDecls> = { readonly [K in keyof P]: ParamSetter<P[K]> };

/** A compiled kernel with a parameter block of its own, all 0 at first. */
export interface PreparedLaunch<P extends ParamDecls = ParamDecls> {
  /**
   * Overwrites parameters; a call costs nanoseconds. A tensor map is kept by address while its shape
   * and options stay the same; it throws `DeclarationError` for what the hardware refuses.
   */
  readonly set: ParamSetters<P>;
  /** Launches with the parameters as they stand, which are copied before this returns. */
  enqueue(call: Call, grid: Grid): void;
}

/** What `bind` works with. */
export interface BindContext {
  readonly limits: DeviceLimits;
  /** Compiles the kernel of a launch, or finds it compiled. Throws `KernelCompileError`. */
  prepare<Config extends object, P extends ParamDecls>(
    launch: LaunchPlan<Config, P>,
  ): PreparedLaunch<P>;
  /** Device address of a view's first element; 0 for an absent one. */
  address(view: TensorView | undefined): number;
  /** Whether no kernel has been enqueued that writes to the memory of a view: weights that were uploaded. */
  isConstant(view: TensorView): boolean;
}

/** One call of an operation, on one stream. */
export interface Call {
  /** The driver's handle. */
  readonly stream: number;
  /**
   * Scratch memory, aligned to 256 bytes, with undefined contents. It may be handed out again to work
   * enqueued later on the same stream. Throws `OutOfMemoryError`.
   */
  workspace(bytes: number): number;
  /**
   * Counters (u32) that are 0 whenever a kernel starts and that kernels leave at 0: for CTAs of one launch
   * that count one another. All launches of the stream share them. Throws `OutOfMemoryError`.
   */
  counters(count: number): number;
}

/** A kernel (or two that follow one another) for one operation. */
export interface CudaKernel<
  Args extends object,
  Problem extends object,
  Plan extends OperationPlan,
  Shape = never,
  Traits = never,
> {
  readonly operation: Operation<Args, Shape, Traits>;
  /** What selection sees of a call. */
  problemOf(args: Args): Problem;
  /** Whether this kernel takes the problem; absent: all that the operation lets through. */
  accepts?(problem: Problem, limits: DeviceLimits): boolean;
  /**
   * What decides the compiled code: the plans of two problems with equal keys differ in launch sizes and
   * workspace only. Flat, because it is compared on every call.
   */
  keyOf(problem: Problem, limits: DeviceLimits): KernelKey;
  plan(problem: Problem, limits: DeviceLimits): Plan;
  /** Compiles a plan. The function it returns runs every problem that has the key of the plan's. */
  bind(context: BindContext, plan: Plan): (args: Args, problem: Problem, call: Call) => void;
  /** What this kernel says about itself; undefined where it would not take such a call. */
  traits?(shape: Shape, limits: DeviceLimits): Traits | undefined;
}

export type KernelKey = Readonly<Record<string, string | number | boolean | undefined>>;

/** A kernel whose types are not known here: what a list of kernels holds. */
export interface AnyCudaKernel {
  /** The family that it was loaded with. */
  readonly family?: string;
  /** See {@link KernelFamily.isBuiltIn}. */
  readonly isBuiltIn?: boolean;
  readonly operation: AnyOperation;
  problemOf(args: object): object;
  accepts?(problem: object, limits: DeviceLimits): boolean;
  keyOf(problem: object, limits: DeviceLimits): KernelKey;
  plan(problem: object, limits: DeviceLimits): OperationPlan;
  bind(
    context: BindContext,
    plan: OperationPlan,
  ): (args: object, problem: object, call: Call) => void;
  traits?(shape: unknown, limits: DeviceLimits): unknown;
}

export { defineCudaKernel } from '../operation/define-kernels.ts';

/** Kernels for a range of architectures, imported only when a device of it is opened. */
export interface KernelFamily {
  readonly name: string;
  /** Least and largest compute capability × 10; no largest: every later one. */
  readonly from: number;
  readonly to?: number;
  /**
   * Whether its kernels are part of this package, so that its build decides their code. Code of others is known by
   * its text alone.
   */
  readonly isBuiltIn?: boolean;
  load(): Promise<readonly AnyCudaKernel[]>;
}
