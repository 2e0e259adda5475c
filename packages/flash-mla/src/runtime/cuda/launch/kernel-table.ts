import { UnsupportedOperationError } from '@flash-mla/core';
import type { AnyOperation } from '../../operation/operation.ts';
import type { AnyCudaKernel, BindContext, Call, KernelKey } from '../kernel.ts';

/** Keys of one kernel that stay bound: the shapes of a few models. */
const keptKeys = 64;

interface BoundKernel {
  readonly key: KernelKey;
  readonly run: (args: object, problem: object, call: Call) => void;
}

/** A kernel with what has been compiled of it, most recently used first. */
interface Entry {
  readonly kernel: AnyCudaKernel;
  readonly bound: BoundKernel[];
}

/** A kernel and what it sees of a call. */
export interface SelectedKernel {
  readonly kernel: AnyCudaKernel;
  readonly problem: object;
}

/** The kernels of a device by operation, in the order of preference. */
export class KernelTable {
  readonly #entries = new Map<AnyOperation, Entry[]>();
  readonly #context: BindContext;
  readonly #builtIn: BindContext;

  /** Kernels of this package are bound with `builtIn`. */
  constructor(
    kernels: readonly AnyCudaKernel[],
    context: BindContext,
    builtIn: BindContext = context,
  ) {
    this.#context = context;
    this.#builtIn = builtIn;
    for (const kernel of kernels) {
      const entries = this.#entries.get(kernel.operation) ?? [];
      entries.push({ kernel, bound: [] });
      this.#entries.set(kernel.operation, entries);
    }
  }

  /**
   * Enqueues a call. Throws {@link UnsupportedOperationError}, `KernelCompileError`, `OutOfMemoryError`,
   * `DeviceLostError`; then nothing is enqueued.
   */
  run(operation: AnyOperation, args: object, call: Call): void {
    const { kernel, problem, bound } = this.#select(operation, args);
    const key = kernel.keyOf(problem, this.#context.limits);
    const run = find(bound, key) ?? this.#bind(kernel, bound, problem, key);
    run(args, problem, call);
  }

  /** The kernel that would run a call. Throws {@link UnsupportedOperationError}. */
  select(operation: AnyOperation, args: object): SelectedKernel {
    return this.#select(operation, args);
  }

  #select(operation: AnyOperation, args: object): SelectedKernel & Entry {
    const { limits } = this.#context;
    let problem: object = args;
    let problemOf: AnyCudaKernel['problemOf'] | undefined;
    for (const { kernel, bound } of this.#of(operation)) {
      // Kernels of an operation mostly see its problems alike.
      if (kernel.problemOf !== problemOf) {
        problemOf = kernel.problemOf;
        problem = problemOf(args);
      }
      if (kernel.accepts?.(problem, limits) ?? true) return { kernel, problem, bound };
    }
    throw this.#unsupported(operation, problem === args ? undefined : problem);
  }

  /** What the kernel that would run says about itself. */
  traits(operation: AnyOperation, shape: unknown): unknown {
    for (const { kernel } of this.#of(operation)) {
      const traits = kernel.traits?.(shape, this.#context.limits);
      if (traits !== undefined) return traits;
    }
    throw this.#unsupported(operation);
  }

  #of(operation: AnyOperation): readonly Entry[] {
    return this.#entries.get(operation) ?? [];
  }

  #bind(
    kernel: AnyCudaKernel,
    bound: BoundKernel[],
    problem: object,
    key: KernelKey,
  ): BoundKernel['run'] {
    const context = kernel.isBuiltIn ? this.#builtIn : this.#context;
    const run = kernel.bind(context, kernel.plan(problem, context.limits));
    bound.unshift({ key, run });
    if (bound.length > keptKeys) bound.pop();
    return run;
  }

  #unsupported({ name }: AnyOperation, problem?: object): UnsupportedOperationError {
    return new UnsupportedOperationError(name, `sm_${this.#context.limits.sm}`, problem);
  }
}

function find(bound: BoundKernel[], key: KernelKey): BoundKernel['run'] | undefined {
  for (let i = 0; i < bound.length; i++) {
    const entry = bound[i];
    if (entry === undefined || !isSameKey(entry.key, key)) continue;
    if (i > 0) {
      bound.splice(i, 1);
      bound.unshift(entry);
    }
    return entry.run;
  }
  return undefined;
}

/** Keys of one kernel have the same fields. */
function isSameKey(a: KernelKey, b: KernelKey): boolean {
  for (const field in a) if (a[field] !== b[field]) return false;
  return true;
}
