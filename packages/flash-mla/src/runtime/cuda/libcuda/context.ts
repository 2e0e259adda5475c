import type { TensorMapDescription } from '@flash-mla/ptx';
import type {
  Address,
  CudaContext,
  Handle,
  KernelSource,
  LaunchShape,
  LoadedKernel,
  LockedMemory,
  PinnedMemory,
  PreparedRun,
} from '../driver/driver.ts';
import { cudaResults } from '../driver/results.ts';
import type { LibcudaDriver } from './driver.ts';
import { KernelLoader } from './kernel-loader.ts';
import { LibcudaRun } from './launch.ts';
import type { DriverApi, DriverCall } from './symbols.ts';
import { TensorMapEncoder } from './tensor-map.ts';

const streamNonBlocking = 1;
const eventDisableTiming = 2;
/** Other contexts of the process may use pinned memory as well. */
const hostAllocPortable = 1;
const hostRegisterPortable = 1;
const hostRegisterDeviceMap = 2;
/** What can be locked: every system that CUDA runs on has pages of this size, or of a divisor of it. */
const pageBytes = 65_536;
/** Lets a capture compile and load kernels and allocate memory, none of which becomes part of it. */
const captureRelaxed = 2;

/** Clusters of more CTAs need a permission (a CUfunction_attribute). */
const portableCluster = 8;
const nonPortableClusterAllowed = 14;

/** A device's primary context through libcuda. */
export class LibcudaContext implements CudaContext {
  readonly ordinal: number;
  readonly #driver: LibcudaDriver;
  readonly #api: DriverApi;
  readonly #device: number;
  readonly #context: number;
  readonly #kernels: KernelLoader;
  #tensorMaps: TensorMapEncoder | undefined;
  #closed = false;

  constructor(driver: LibcudaDriver, ordinal: number, device: number, sm: number) {
    this.ordinal = ordinal;
    this.#driver = driver;
    this.#api = driver.api;
    this.#device = device;
    const { api, out } = driver;
    driver.check('cuDevicePrimaryCtxRetain', api.cuDevicePrimaryCtxRetain(out.address, device));
    this.#context = out.u64();
    this.#kernels = new KernelLoader(driver, sm);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#driver.forgetCurrent();
    this.#call('cuDevicePrimaryCtxRelease', this.#api.cuDevicePrimaryCtxRelease(this.#device));
  }

  reset(): void {
    this.#driver.forgetCurrent();
    this.#call('cuDevicePrimaryCtxReset', this.#api.cuDevicePrimaryCtxReset(this.#device));
  }

  memoryInfo(): { free: number; total: number } {
    const { address } = this.#enter();
    this.#call('cuMemGetInfo', this.#api.cuMemGetInfo(address, address + 8));
    return { free: this.#driver.out.u64(), total: this.#driver.out.u64(8) };
  }

  allocate(bytes: number): Address {
    this.#call('cuMemAlloc', this.#api.cuMemAlloc(this.#enter().address, bytes));
    return this.#driver.out.u64();
  }

  free(address: Address): void {
    this.#enter();
    this.#call('cuMemFree', this.#api.cuMemFree(address));
  }

  allocatePinned(bytes: number): PinnedMemory {
    const { address } = this.#enter();
    this.#call('cuMemHostAlloc', this.#api.cuMemHostAlloc(address, bytes, hostAllocPortable));
    const memory = this.#driver.out.u64();
    return { address: memory, bytes: this.#driver.library.view(memory, bytes) };
  }

  freePinned(memory: PinnedMemory): void {
    this.#enter();
    this.#call('cuMemFreeHost', this.#api.cuMemFreeHost(memory.address));
  }

  /** Shared memory, because nobody can detach it, and so nobody can free it while it is locked. */
  lockMemory(byteLength: number): LockedMemory {
    const size = Math.ceil(byteLength / pageBytes) * pageBytes;
    const { library } = this.#driver;
    const whole = new Uint8Array(new SharedArrayBuffer(size + pageBytes));
    const skip = (pageBytes - (library.addressOf(whole) % pageBytes)) % pageBytes;
    const bytes = whole.subarray(skip, skip + byteLength);
    const address = library.addressOf(bytes);
    const out = this.#enter().address;
    const flags = hostRegisterPortable | hostRegisterDeviceMap;
    this.#call('cuMemHostRegister', this.#api.cuMemHostRegister(address, size, flags));
    const code = this.#api.cuMemHostGetDevicePointer(out, address, 0);
    if (code !== 0) this.#api.cuMemHostUnregister(address);
    this.#call('cuMemHostGetDevicePointer', code);
    return { address, deviceAddress: this.#driver.out.u64(), bytes };
  }

  unlockMemory({ address }: LockedMemory): void {
    this.#enter();
    this.#call('cuMemHostUnregister', this.#api.cuMemHostUnregister(address));
  }

  createStream(): Handle {
    this.#call(
      'cuStreamCreate',
      this.#api.cuStreamCreate(this.#enter().address, streamNonBlocking),
    );
    return this.#driver.out.u64();
  }

  destroyStream(stream: Handle): void {
    this.#enter();
    this.#call('cuStreamDestroy', this.#api.cuStreamDestroy(stream));
  }

  createEvent(timing: boolean): Handle {
    const flags = timing ? 0 : eventDisableTiming;
    this.#call('cuEventCreate', this.#api.cuEventCreate(this.#enter().address, flags));
    return this.#driver.out.u64();
  }

  destroyEvent(event: Handle): void {
    this.#enter();
    this.#call('cuEventDestroy', this.#api.cuEventDestroy(event));
  }

  recordEvent(event: Handle, stream: Handle): void {
    this.#enter();
    this.#call('cuEventRecord', this.#api.cuEventRecord(event, stream));
  }

  waitEvent(stream: Handle, event: Handle): void {
    this.#enter();
    this.#call('cuStreamWaitEvent', this.#api.cuStreamWaitEvent(stream, event, 0));
  }

  queryEvent(event: Handle): boolean {
    this.#enter();
    const code = this.#api.cuEventQuery(event);
    if (code === cudaResults.notReady) return false;
    this.#call('cuEventQuery', code);
    return true;
  }

  synchronizeEvent(event: Handle): void {
    this.#enter();
    this.#call('cuEventSynchronize', this.#api.cuEventSynchronize(event));
  }

  elapsedMs(begin: Handle, end: Handle): number {
    const { address } = this.#enter();
    this.#call('cuEventElapsedTime', this.#api.cuEventElapsedTime(address, begin, end));
    return this.#driver.out.f32();
  }

  copyToDevice(target: Address, source: Address, bytes: number, stream: Handle): void {
    this.#enter();
    const code = this.#api.cuMemcpyHtoDAsync(target, source, bytes, stream);
    this.#call('cuMemcpyHtoDAsync', code);
  }

  copyToHost(target: Address, source: Address, bytes: number, stream: Handle): void {
    this.#enter();
    const code = this.#api.cuMemcpyDtoHAsync(target, source, bytes, stream);
    this.#call('cuMemcpyDtoHAsync', code);
  }

  copyOnDevice(target: Address, source: Address, bytes: number, stream: Handle): void {
    this.#enter();
    const code = this.#api.cuMemcpyDtoDAsync(target, source, bytes, stream);
    this.#call('cuMemcpyDtoDAsync', code);
  }

  fill(target: Address, word: number, words: number, stream: Handle): void {
    this.#enter();
    this.#call('cuMemsetD32Async', this.#api.cuMemsetD32Async(target, word >>> 0, words, stream));
  }

  loadKernel(source: KernelSource): LoadedKernel {
    this.#enter();
    return this.#kernels.load(source);
  }

  unloadKernel(kernel: LoadedKernel): void {
    this.#enter();
    this.#kernels.unload(kernel);
  }

  encodeTensorMap(map: TensorMapDescription): Uint8Array<ArrayBuffer> {
    this.#tensorMaps ??= new TensorMapEncoder(this.#driver);
    return this.#tensorMaps.encode(map);
  }

  prepareRun(shape: LaunchShape): PreparedRun {
    const [x, y, z] = shape.cluster ?? [1, 1, 1];
    if (x * y * z > portableCluster) {
      this.#enter();
      const { function: handle } = shape.kernel;
      const code = this.#api.cuFuncSetAttribute(handle, nonPortableClusterAllowed, 1);
      this.#call('cuFuncSetAttribute', code);
    }
    return new LibcudaRun(this.#driver, this.#context, shape);
  }

  beginCapture(stream: Handle): void {
    this.#enter();
    const code = this.#api.cuStreamBeginCapture(stream, captureRelaxed);
    this.#call('cuStreamBeginCapture', code);
  }

  endCapture(stream: Handle): Handle {
    const { address } = this.#enter();
    this.#call('cuStreamEndCapture', this.#api.cuStreamEndCapture(stream, address));
    const graph = this.#driver.out.u64();
    const code = this.#api.cuGraphInstantiate(address, graph, 0);
    const executable = this.#driver.out.u64();
    this.#api.cuGraphDestroy(graph);
    this.#call('cuGraphInstantiate', code);
    return executable;
  }

  launchGraph(graph: Handle, stream: Handle): void {
    this.#enter();
    this.#call('cuGraphLaunch', this.#api.cuGraphLaunch(graph, stream));
  }

  destroyGraph(graph: Handle): void {
    this.#enter();
    this.#call('cuGraphExecDestroy', this.#api.cuGraphExecDestroy(graph));
  }

  /** Makes the context current and gives the place for return values. */
  #enter(): { readonly address: number } {
    this.#driver.enter(this.#context);
    return this.#driver.out;
  }

  #call(call: DriverCall, code: number): void {
    if (code !== 0) throw this.#driver.error(call, code);
  }
}
