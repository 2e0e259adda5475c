/**
 * What the CUDA backend needs of a driver, and nothing more. Two implementations: libcuda
 * (`../libcuda/`), and the simulator (`../../sim/`). Everything above this file is shared code.
 *
 * Handles and addresses are numbers below 2^53. Methods throw {@link CudaDriverError}; those of a
 * context that the driver has given up on (see `isSticky`) go on throwing until {@link
 * CudaContext.reset}.
 */

import type { Kernel, TensorMapDescription } from '@flash-mla/ptx';

/** An opaque driver object. */
export type Handle = number;
/** A device address. */
export type Address = number;

export interface CudaDriver {
  readonly kind: 'cuda' | 'sim';
  /** Newest CUDA version that the driver supports: major × 1000 + minor × 10. */
  readonly version: number;
  /**
   * What decides the text of this package's own kernels, beside their names and configurations; undefined where that
   * is not known, or of no use because nothing is kept on disk.
   */
  readonly packageBuild?: string | undefined;
  /** Where it was found, for `doctor`. */
  readonly origin: string;
  /** Where compiled kernels are kept or why they are not, for `doctor`; absent where none are compiled. */
  readonly kernelCache?: string;
  deviceCount(): number;
  deviceFacts(ordinal: number): DeviceFacts;
  /**
   * Makes the device's context on a thread of its own, which takes a good part of a second. It lives
   * until the function that this resolves to is called, or as long as {@link openContext} holds it.
   */
  warmUp?(ordinal: number): Promise<() => void>;
  /** Retains the device's primary context. Contexts of one driver may be used alternately. */
  openContext(ordinal: number): CudaContext;
}

/** What the driver says about a device. */
export interface DeviceFacts {
  readonly name: string;
  /** Compute capability × 10, such as 90. */
  readonly sm: number;
  readonly memoryBytes: number;
  readonly smCount: number;
  readonly maxSharedPerBlock: number;
  readonly maxSharedPerSm: number;
  readonly maxThreadsPerSm: number;
  readonly registersPerSm: number;
  readonly l2Bytes: number;
}

/** Host memory that the device reaches directly (page-locked). */
export interface PinnedMemory {
  readonly address: Address;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Memory of the process that the device reaches directly as long as it is locked. */
export interface LockedMemory {
  /** For copies, and for kernels. */
  readonly address: Address;
  readonly deviceAddress: Address;
  readonly bytes: Uint8Array;
}

/** A kernel to load: the simulator executes its program, the driver compiles its text. */
export interface KernelSource {
  /** For messages and caches: the spec's name. */
  readonly name: string;
  readonly kernel: Kernel;
  /** PTX target, such as `sm_80` or `sm_90a`. */
  readonly target: string;
  /** Emits the text; called only where it is needed. */
  ptx(): string;
  /**
   * What decides the text, where that is known without it: two sources with equal identities and targets have equal
   * texts, in any process.
   */
  readonly identity?: string | undefined;
}

/** A kernel on the device. */
export interface LoadedKernel {
  readonly function: Handle;
  /** Registers and local memory (spills, stack) of a thread, in bytes for the latter. */
  readonly registers: number;
  readonly localBytes: number;
  /** Whether it came compiled from the disk cache. */
  readonly cached: boolean;
}

/** The size of a launch in CTAs. */
export type Grid = readonly [x: number, y: number, z: number];

/** What is fixed about a launch: not its parameters, its size and its stream. */
export interface LaunchShape {
  readonly kernel: LoadedKernel;
  readonly source: KernelSource;
  readonly block: readonly [number, number, number];
  readonly cluster?: readonly [number, number, number] | undefined;
  readonly sharedBytes: number;
  /** Programmatic stream serialisation: may begin before the launch ahead of it ends. */
  readonly overlap: boolean;
  readonly parameterBytes: number;
}

/** A launch that is ready to run any number of times. */
export interface PreparedRun {
  /** The packed parameter buffer; written in place, copied by {@link run}. */
  readonly parameters: DataView<ArrayBuffer>;
  /** A grid must have a CTA. */
  run(grid: Grid, stream: Handle): void;
}

export interface CudaContext {
  readonly ordinal: number;
  /** Gives the context back; its memory goes with the last holder. */
  close(): void;
  /** Destroys everything in the context, for all holders: the way out after a sticky error. */
  reset(): void;

  memoryInfo(): { free: number; total: number };
  allocate(bytes: number): Address;
  free(address: Address): void;
  allocatePinned(bytes: number): PinnedMemory;
  freePinned(memory: PinnedMemory): void;

  /** Page-locks memory of the process, zeros, which stays valid whatever becomes of the context. */
  lockMemory(bytes: number): LockedMemory;
  unlockMemory(memory: LockedMemory): void;

  /** `name` is for messages. */
  createStream(name?: string): Handle;
  destroyStream(stream: Handle): void;
  createEvent(timing: boolean): Handle;
  destroyEvent(event: Handle): void;
  recordEvent(event: Handle, stream: Handle): void;
  /** What is enqueued later on the stream waits for what was enqueued before the event was recorded. */
  waitEvent(stream: Handle, event: Handle): void;
  /** Whether the work before the event is done; throws what went wrong in it. */
  queryEvent(event: Handle): boolean;
  /** Blocks until the work before the event is done. */
  synchronizeEvent(event: Handle): void;
  /** Milliseconds on the device's clock between two events that are done. */
  elapsedMs(begin: Handle, end: Handle): number;

  copyToDevice(target: Address, source: Address, bytes: number, stream: Handle): void;
  copyToHost(target: Address, source: Address, bytes: number, stream: Handle): void;
  copyOnDevice(target: Address, source: Address, bytes: number, stream: Handle): void;
  /** Fills `words` 32-bit words. */
  fill(target: Address, word: number, words: number, stream: Handle): void;

  /** Compiles (or finds) and loads a kernel. Throws `KernelCompileError`. */
  loadKernel(source: KernelSource): LoadedKernel;
  unloadKernel(kernel: LoadedKernel): void;
  prepareRun(shape: LaunchShape): PreparedRun;
  /** The 128 bytes of a tensor map, for kernels of this device. Throws `DeclarationError`. */
  encodeTensorMap(map: TensorMapDescription): Uint8Array<ArrayBuffer>;

  beginCapture(stream: Handle): void;
  /** Ends the capture and makes it executable. Throws if nothing can be made of it. */
  endCapture(stream: Handle): Handle;
  launchGraph(graph: Handle, stream: Handle): void;
  destroyGraph(graph: Handle): void;
}
