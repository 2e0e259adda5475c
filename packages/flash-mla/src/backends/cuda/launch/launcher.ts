import type { Kernel, ParamDecls, ParamInputs, TensorMapDescription } from '@flash-mla/ptx';
import type { BackendBuffer, TensorView } from '../../backend.ts';
import type { Address, CudaContext, Handle } from '../driver/driver.ts';
import type { BindContext, LaunchPlan, PreparedLaunch } from '../kernel-family.ts';
import type { DeviceLimits } from '../limits.ts';
import type { CudaBuffer, DeviceMemory } from '../memory/device-memory.ts';
import type { Block } from '../memory/device-pool.ts';
import { buildKernel, type KernelStore } from './kernel-store.ts';
import { preparedLaunch } from './prepared.ts';

/** Room for all CTAs that a GPU runs side by side, for most kernels. */
const leastCounters = 1024;

/** Launches kernels on one stream: what operations are bound with. */
export class Launcher implements BindContext {
  readonly limits: DeviceLimits;
  readonly #context: CudaContext;
  readonly #stream: Handle;
  readonly #memory: DeviceMemory;
  readonly #kernels: KernelStore;
  readonly #canOverlap: boolean;
  /** Scratch of the operation at hand. */
  readonly #scratch: Block[] = [];
  /** The newest counters; operations that were bound before may use others. */
  #counters: { readonly address: Address; readonly count: number } | undefined;

  constructor(options: {
    readonly limits: DeviceLimits;
    readonly context: CudaContext;
    readonly stream: Handle;
    readonly memory: DeviceMemory;
    readonly kernels: KernelStore;
    readonly canOverlap: boolean;
  }) {
    this.limits = options.limits;
    this.#context = options.context;
    this.#stream = options.stream;
    this.#memory = options.memory;
    this.#kernels = options.kernels;
    this.#canOverlap = options.canOverlap;
  }

  prepare<Config extends object, P extends ParamDecls>(
    launch: LaunchPlan<Config, P>,
    values: ParamInputs<P>,
  ): PreparedLaunch<P> {
    const { kernel: spec, config, grid, cluster } = launch;
    const { source, loaded } = this.#kernels.get(spec, config);
    const kernel = buildKernel(spec, config);
    const parameters = kernel.packParams(values as ParamInputs<ParamDecls>);
    const run = this.#context.prepareRun({
      kernel: loaded,
      source,
      grid,
      block: kernel.block,
      cluster: cluster ?? clusterOf(kernel),
      sharedBytes: kernel.sharedBytes,
      overlap: (launch.overlap ?? false) && this.#canOverlap,
      stream: this.#stream,
      parameterBytes: parameters.byteLength,
    });
    parameters.forEach((byte, i) => {
      run.parameters.setUint8(i, byte);
    });
    const isEmpty = grid.some((extent) => extent === 0);
    const encode = (map: TensorMapDescription) => this.#context.encodeTensorMap(map);
    return preparedLaunch<P>(spec.name, kernel.paramSlots, run, isEmpty, encode);
  }

  address(view: TensorView | undefined): Address {
    if (view === undefined) return 0;
    return asCudaBuffer(view.buffer).address + view.byteOffset;
  }

  workspace(bytes: number): Address {
    if (bytes === 0) return 0;
    const block = this.#memory.takeScratch(bytes);
    this.#scratch.push(block);
    return block.address;
  }

  counters(count: number): Address {
    if (this.#counters === undefined || this.#counters.count < count) {
      const size = Math.max(leastCounters, 2 ** Math.ceil(Math.log2(count)));
      const { address } = this.#memory.takeForGood(size * 4);
      this.#clear(address, size);
      this.#counters = { address, count: size };
    }
    return this.#counters.address;
  }

  /** At once, and also where the stream's work is being recorded, to which it does not belong. */
  #clear(address: Address, words: number): void {
    const context = this.#context;
    const stream = context.createStream();
    const event = context.createEvent(false);
    try {
      context.fill(address, 0, words, stream);
      context.recordEvent(event, stream);
      context.synchronizeEvent(event);
    } finally {
      context.destroyEvent(event);
      context.destroyStream(stream);
    }
  }

  fill(address: Address, word: number, words: number): void {
    this.#context.fill(address, word, words, this.#stream);
  }

  /** All work of the operation at hand is enqueued: its scratch may serve the next. */
  releaseScratch(): void {
    for (let block = this.#scratch.pop(); block !== undefined; block = this.#scratch.pop()) {
      this.#memory.giveScratch(block);
    }
  }
}

/** What a launch says about the kernel's cluster: nothing where CTAs stand alone. */
function clusterOf({ cluster }: Pick<Kernel, 'cluster'>): Kernel['cluster'] | undefined {
  return cluster.some((extent) => extent !== 1) ? cluster : undefined;
}

/** Buffers come back as the contract's type; only this backend's own ever do. */
export function asCudaBuffer(buffer: BackendBuffer): CudaBuffer {
  return buffer as CudaBuffer;
}
