import { buildId } from '../cache/build-id.ts';
import type { CubinCache } from '../cache/cubin-cache.ts';
import type { CudaContext, CudaDriver, DeviceFacts } from '../driver/driver.ts';
import { CudaDriverError } from '../driver/driver-error.ts';
import { LibcudaContext } from './context.ts';
import type { NativeLibrary } from './native.ts';
import { Scratch } from './scratch.ts';
import {
  bindOptional,
  bindTasks,
  type DriverApi,
  type DriverCall,
  type DriverTasks,
  type OptionalApi,
} from './symbols.ts';

/** CUdevice_attribute. */
const attributes = {
  smCount: 16,
  l2Bytes: 38,
  maxThreadsPerSm: 39,
  capabilityMajor: 75,
  capabilityMinor: 76,
  maxSharedPerSm: 81,
  registersPerSm: 82,
  maxSharedPerBlock: 97,
} as const;

/** NVIDIA's driver. One per thread, because the current context is a property of the thread. */
export class LibcudaDriver implements CudaDriver {
  readonly kind = 'cuda';
  readonly library: NativeLibrary;
  readonly api: DriverApi;
  readonly optional: OptionalApi;
  readonly cache: CubinCache;
  /** What identifies the driver's compiler: CUDA version and, where known, build. */
  readonly build: string;
  readonly packageBuild = buildId();
  /** Where functions return values; valid until the next call. */
  readonly out: Scratch;
  readonly #tasks: DriverTasks;
  #current = 0;
  #version = 0;

  constructor(library: NativeLibrary, api: DriverApi, cache: CubinCache, build: string) {
    this.library = library;
    this.api = api;
    this.optional = bindOptional(library);
    this.cache = cache;
    this.build = build;
    this.out = new Scratch(library, 256);
    this.#tasks = bindTasks(library);
  }

  get version(): number {
    return this.#version;
  }

  get origin(): string {
    return this.library.path;
  }

  get kernelCache(): string {
    return this.cache.state;
  }

  /** Throws {@link CudaDriverError}, e.g. where there is no GPU. */
  async initialise(): Promise<void> {
    this.check('cuDriverGetVersion', this.api.cuDriverGetVersion(this.out.address));
    this.#version = this.out.i32();
    this.check('cuInit', await this.#tasks.cuInit(0));
  }

  deviceCount(): number {
    this.check('cuDeviceGetCount', this.api.cuDeviceGetCount(this.out.address));
    return this.out.i32();
  }

  deviceFacts(ordinal: number): DeviceFacts {
    const { api, out } = this;
    const device = this.device(ordinal);
    this.check('cuDeviceGetName', api.cuDeviceGetName(out.address, 256, device));
    const name = out.text();
    this.check('cuDeviceTotalMem', api.cuDeviceTotalMem(out.address, device));
    const memoryBytes = out.u64();
    const attribute = (id: number): number => {
      this.check('cuDeviceGetAttribute', api.cuDeviceGetAttribute(out.address, id, device));
      return out.i32();
    };
    return {
      name,
      memoryBytes,
      sm: attribute(attributes.capabilityMajor) * 10 + attribute(attributes.capabilityMinor),
      smCount: attribute(attributes.smCount),
      maxSharedPerBlock: attribute(attributes.maxSharedPerBlock),
      maxSharedPerSm: attribute(attributes.maxSharedPerSm),
      maxThreadsPerSm: attribute(attributes.maxThreadsPerSm),
      registersPerSm: attribute(attributes.registersPerSm),
      l2Bytes: attribute(attributes.l2Bytes),
    };
  }

  async warmUp(ordinal: number): Promise<() => void> {
    const device = this.device(ordinal);
    const out = new Scratch(this.library, 8);
    const code = await this.#tasks.cuDevicePrimaryCtxRetain(out.address, device);
    this.check('cuDevicePrimaryCtxRetain', code);
    return () => {
      this.check('cuDevicePrimaryCtxRelease', this.api.cuDevicePrimaryCtxRelease(device));
    };
  }

  openContext(ordinal: number): CudaContext {
    const { sm } = this.deviceFacts(ordinal);
    return new LibcudaContext(this, ordinal, this.device(ordinal), sm);
  }

  device(ordinal: number): number {
    this.check('cuDeviceGet', this.api.cuDeviceGet(this.out.address, ordinal));
    return this.out.i32();
  }

  /** Makes a context the calling thread's; costs nothing where it is already. */
  enter(context: number): void {
    if (this.#current === context) return;
    this.check('cuCtxSetCurrent', this.api.cuCtxSetCurrent(context));
    this.#current = context;
  }

  /** The current context may be gone: the next {@link enter} sets it anew. */
  forgetCurrent(): void {
    this.#current = 0;
  }

  /** Throws {@link CudaDriverError} unless `code` is success. */
  check(call: DriverCall, code: number): void {
    if (code !== 0) throw this.error(call, code);
  }

  error(call: DriverCall, code: number): CudaDriverError {
    const read = (ask: 'cuGetErrorName' | 'cuGetErrorString', otherwise: string): string => {
      const known = this.api[ask](code, this.out.address) === 0 && this.out.u64() !== 0;
      return known ? this.library.text(this.out.u64()) : otherwise;
    };
    const name = read('cuGetErrorName', `CUresult ${code}`);
    return new CudaDriverError(call, code, name, read('cuGetErrorString', 'no description'));
  }
}
