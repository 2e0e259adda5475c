import type { ParamDecls } from '@flash-mla/ptx';
import { TraceBackend } from '../../device/trace-backend.ts';
import type { AnyOperation, Operation } from '../../operation/operation.ts';
import type { DeviceBuffer } from '../../tensor/view.ts';
import type { DeviceFacts, Grid } from '../driver/driver.ts';
import type {
  BindContext,
  Call,
  KernelFamily,
  LaunchPlan,
  ParamSetters,
  PreparedLaunch,
} from '../kernel.ts';
import { KernelTable, type SelectedKernel } from '../launch/kernel-table.ts';
import { asCudaBuffer } from '../launch/launcher.ts';
import { loadKernels } from '../launch/load-kernels.ts';
import { type DeviceLimits, limitsOf } from '../limits.ts';
import type { CudaBuffer } from '../memory/device-memory.ts';

/** One launch as a call made it. */
export interface TracedLaunch {
  readonly role: string;
  readonly plan: LaunchPlan;
  readonly grid: Grid;
}

/** One call of an operation. */
export interface TracedCall {
  readonly operation: AnyOperation;
  readonly family: string;
  readonly problem: object;
  readonly launches: readonly TracedLaunch[];
  readonly workspaceBytes: number;
}

/** Where allocations of a GPU begin: aligned to more than any access asks for. */
const firstAddress = 0x7f00_0000_0000;
const granularity = 2 ** 21;

/** A GPU that is not there, with the kernels for it. */
export class CudaTrace extends TraceBackend {
  readonly limits: DeviceLimits;
  readonly calls: TracedCall[] = [];
  readonly #table: KernelTable;
  #next = firstAddress;
  #launches: { readonly plan: LaunchPlan; readonly grid: Grid }[] = [];
  #workspaceBytes = 0;

  private constructor(
    facts: DeviceFacts,
    limits: DeviceLimits,
    kernels: ConstructorParameters<typeof KernelTable>[0],
  ) {
    super({
      backend: 'cuda',
      id: `sm_${facts.sm}`,
      name: facts.name,
      parallelism: facts.smCount,
      details: {},
    });
    this.limits = limits;
    const context: BindContext = {
      limits,
      address: (view) =>
        view === undefined ? 0 : asCudaBuffer(view.buffer).address + view.byteOffset,
      isConstant: () => true,
      prepare: (plan) => this.#prepare(plan),
    };
    this.#table = new KernelTable(kernels, context);
  }

  static async open(facts: DeviceFacts, families: readonly KernelFamily[]): Promise<CudaTrace> {
    const limits = limitsOf(facts);
    return new CudaTrace(facts, limits, await loadKernels(limits.sm, families));
  }

  allocate(byteLength: number): DeviceBuffer {
    const address = this.#next;
    this.#next += Math.ceil(byteLength / granularity) * granularity;
    const block = { address, bytes: byteLength, slab: undefined };
    return { byteLength, address, block } as unknown as CudaBuffer;
  }

  run<Args extends object>(operation: Operation<Args, never, unknown>, args: Args): void {
    this.#launches = [];
    this.#workspaceBytes = 0;
    const call: Call = {
      stream: 0,
      workspace: (bytes) => {
        this.#workspaceBytes += bytes;
        return firstAddress;
      },
      counters: () => firstAddress,
    };
    const selected = this.#table.select(operation, args);
    this.#table.run(operation, args, call);
    this.calls.push(this.#callOf(operation, selected));
  }

  traits<Shape, Traits>(operation: Operation<never, Shape, Traits>, shape: Shape): Traits {
    return this.#table.traits(operation, shape) as Traits;
  }

  #callOf(operation: AnyOperation, { kernel, problem }: SelectedKernel): TracedCall {
    const roles = Object.keys(kernel.plan(problem, this.limits).launches);
    return {
      operation,
      family: kernel.family ?? 'unnamed',
      problem,
      launches: this.#launches.map((launch, i) => ({ role: roles[i] ?? `${i}`, ...launch })),
      workspaceBytes: this.#workspaceBytes,
    };
  }

  #prepare<Config extends object, P extends ParamDecls>(
    plan: LaunchPlan<Config, P>,
  ): PreparedLaunch<P> {
    return {
      set: new Proxy({}, { get: () => () => {} }) as ParamSetters<P>,
      enqueue: (_, grid) => {
        this.#launches.push({ plan: plan as unknown as LaunchPlan, grid });
      },
    };
  }
}
