import type { Kernel, ParamDecls, TensorMapDescription } from '@flash-mla/ptx';
import type { DeviceBuffer, TensorView } from '../../tensor/view.ts';
import type { Address, CudaContext, CudaDriver } from '../driver/driver.ts';
import type { BindContext, LaunchPlan, PreparedLaunch } from '../kernel.ts';
import type { DeviceLimits } from '../limits.ts';
import type { CudaBuffer } from '../memory/device-memory.ts';
import { buildKernel, type KernelStore } from './kernel-store.ts';
import { preparedLaunch } from './prepared.ts';

/** Compiles and prepares launches: what kernels are bound with. */
export class Launcher implements BindContext {
  readonly limits: DeviceLimits;
  readonly #context: CudaContext;
  readonly #kernels: KernelStore;
  readonly #canOverlap: boolean;
  readonly #packageBuild: string | undefined;
  /** Memory that kernels write to. Copies need no mark: no launch overlaps them. */
  readonly #computed = new WeakSet<DeviceBuffer>();

  constructor(options: {
    readonly limits: DeviceLimits;
    readonly context: CudaContext;
    readonly kernels: KernelStore;
    readonly canOverlap: boolean;
    /** See {@link CudaDriver.packageBuild}. */
    readonly packageBuild: string | undefined;
  }) {
    this.limits = options.limits;
    this.#context = options.context;
    this.#kernels = options.kernels;
    this.#canOverlap = options.canOverlap;
    this.#packageBuild = options.packageBuild;
  }

  /** The same for kernels of this package, whose code is known by its build. */
  get builtIn(): BindContext {
    return {
      limits: this.limits,
      prepare: (launch) => this.#prepare(launch, this.#packageBuild),
      address: (view) => this.address(view),
      isConstant: (view) => this.isConstant(view),
    };
  }

  prepare<Config extends object, P extends ParamDecls>(
    launch: LaunchPlan<Config, P>,
  ): PreparedLaunch<P> {
    return this.#prepare(launch, undefined);
  }

  #prepare<Config extends object, P extends ParamDecls>(
    launch: LaunchPlan<Config, P>,
    build: string | undefined,
  ): PreparedLaunch<P> {
    const { kernel: spec, config, cluster, overlap = false } = launch;
    const { source, loaded } = this.#kernels.get(spec, config, build);
    const kernel = buildKernel(spec, config);
    const run = this.#context.prepareRun({
      kernel: loaded,
      source,
      block: kernel.block,
      cluster: cluster ?? clusterOf(kernel),
      sharedBytes: kernel.sharedBytes,
      overlap: overlap && this.#canOverlap,
      parameterBytes: parameterBytes(kernel),
    });
    const encode = (map: TensorMapDescription) => this.#context.encodeTensorMap(map);
    return preparedLaunch<P>(kernel.paramSlots, run, encode);
  }

  address(view: TensorView | undefined): Address {
    if (view === undefined) return 0;
    return asCudaBuffer(view.buffer).address + view.byteOffset;
  }

  isConstant({ buffer }: TensorView): boolean {
    return !this.#computed.has(buffer);
  }

  /** Remembers that kernels write to the memory of views. */
  markComputed(views: readonly (TensorView | undefined)[]): void {
    for (const view of views) if (view) this.#computed.add(view.buffer);
  }
}

function parameterBytes({ paramSlots }: Pick<Kernel, 'paramSlots'>): number {
  const last = paramSlots.at(-1);
  return last === undefined ? 0 : last.offset + last.bytes;
}

/** What a launch says about the kernel's cluster: nothing where CTAs stand alone. */
function clusterOf({ cluster }: Pick<Kernel, 'cluster'>): Kernel['cluster'] | undefined {
  return cluster.some((extent) => extent !== 1) ? cluster : undefined;
}

/** Buffers come back as the contract's type; only this backend's own ever do. */
export function asCudaBuffer(buffer: DeviceBuffer): CudaBuffer {
  return buffer as CudaBuffer;
}
