import type { DType } from '@flash-mla/core';
import {
  encodeTensorMap,
  type ParamDecls,
  type ParamInputs,
  SimMemory,
  simulate,
  type TensorMapDescription,
} from '@flash-mla/ptx';
import type {
  BindContext,
  Call,
  CudaKernel,
  LaunchPlan,
  OperationPlan,
  ParamSetters,
  PreparedLaunch,
} from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import type { TensorView } from '../../../../runtime/tensor/view.ts';

/** Limits of the GPUs that tests select for. */
export const testLimits = {
  h200: { sm: 90, target: 'sm_90', shared: 232_448, smCount: 132 },
  a100: { sm: 80, target: 'sm_80', shared: 166_912, smCount: 108 },
  ada: { sm: 89, target: 'sm_89', shared: 101_376, smCount: 128 },
} as const;

export function limitsFor(name: keyof typeof testLimits, smCount?: number): DeviceLimits {
  const { sm, target, shared, smCount: all } = testLimits[name];
  return {
    sm,
    target,
    specificTarget: undefined,
    smCount: smCount ?? all,
    maxSharedPerBlock: shared,
    maxSharedPerSm: shared + 1024,
    maxThreadsPerSm: 2048,
    registersPerSm: 65_536,
    l2Bytes: 50 * 2 ** 20,
  };
}

/** What of a kernel a call needs. */
type Runnable<Args extends object, Problem extends object, Plan extends OperationPlan> = Pick<
  CudaKernel<Args, Problem, Plan>,
  'problemOf' | 'plan' | 'bind'
>;

interface SimBuffer {
  readonly byteLength: number;
  readonly address: number;
}

/** Runs bound kernels in the simulator: what the CUDA backend does, without a backend. */
export class SimContext implements BindContext, Call {
  readonly stream = 0;
  readonly memory = new SimMemory();
  readonly limits: DeviceLimits;
  /** Whether CTAs start from the last to the first. */
  reversed = false;

  constructor(limits: DeviceLimits) {
    this.limits = limits;
  }

  prepare<Config extends object, P extends ParamDecls>(
    launch: LaunchPlan<Config, P>,
  ): PreparedLaunch<P> {
    const kernel = launch.kernel.build(launch.config);
    const params: Record<string, unknown> = {};
    const set = kernel.paramSlots.map(({ name, align }) => [
      name,
      (value: unknown) => {
        params[name] = align === 64 ? encodeTensorMap(value as TensorMapDescription) : value;
      },
    ]);
    return {
      set: Object.fromEntries(set) as ParamSetters<P>,
      enqueue: (_, grid) => {
        const { memory, limits } = this;
        const specific = launch.kernel.architectureSpecific ? limits.specificTarget : undefined;
        simulate(kernel, {
          grid,
          cluster: launch.cluster ?? kernel.cluster,
          params: params as ParamInputs<P>,
          memory,
          reversed: this.reversed,
          target: specific ?? limits.target,
        });
      },
    };
  }

  address(view: TensorView | undefined): number {
    return view === undefined ? 0 : (view.buffer as SimBuffer).address + view.byteOffset;
  }

  isConstant(): boolean {
    return true;
  }

  workspace(bytes: number): number {
    return bytes === 0 ? 0 : Number(this.memory.alloc(bytes));
  }

  counters(count: number): number {
    return Number(this.memory.allocFrom(new Uint32Array(count)));
  }

  /** Plans and binds a kernel for the problem of a call, and runs the call. */
  run<Args extends object, Problem extends object, Plan extends OperationPlan>(
    kernel: Runnable<Args, Problem, Plan>,
    args: Args,
  ): void {
    const problem = kernel.problemOf(args);
    kernel.bind(this, kernel.plan(problem, this.limits))(args, problem, this);
  }

  /** A tensor with the given contents, or (`'empty'`) with none. */
  tensor(
    dtype: DType,
    shape: readonly number[],
    data: ArrayBufferView,
    layout: { strides?: readonly number[]; byteOffset?: number } = {},
  ): TensorView {
    const address = Number(this.memory.allocFrom(data));
    const strides = layout.strides ?? contiguous(shape);
    const buffer: SimBuffer = { byteLength: data.byteLength, address };
    return { buffer, byteOffset: layout.byteOffset ?? 0, dtype, shape, strides };
  }

  empty(dtype: DType, shape: readonly number[], bytes: number): TensorView {
    const address = Number(this.memory.alloc(Math.max(1, bytes)));
    const buffer: SimBuffer = { byteLength: bytes, address };
    return { buffer, byteOffset: 0, dtype, shape, strides: contiguous(shape) };
  }

  read(view: TensorView): Uint8Array<ArrayBuffer> {
    const { address, byteLength } = view.buffer as SimBuffer;
    return this.memory.read(address, byteLength);
  }
}

function contiguous(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = step;
    step *= shape[d] ?? 1;
  }
  return strides;
}
