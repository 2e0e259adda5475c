import {
  contiguousLayout,
  DisposedError,
  type DType,
  describeValue,
  dtypeSize,
  dtypes,
  encodeElements,
  InvalidArgumentError,
  isDType,
  isStorageOf,
  numElements,
  type StorageOf,
  type TypedArray,
  typedArrayName,
} from '@flash-mla/core';
import type { Operation } from '../operation/operation.ts';
import { type CopyOptions, enqueueCopy } from '../tensor/copy.ts';
import { allocationOf, PinnedBuffer } from '../tensor/pinned-buffer.ts';
import { Recording } from '../tensor/recording.ts';
import { areCounts, Tensor, type TensorHost } from '../tensor/tensor.ts';
import type { Backend, BackendGraph, DeviceInfo, MemoryPurpose, MemoryStats } from './backend.ts';
import type { BackendOptions } from './registry.ts';
import { queueOf, Stream, type StreamOptions, streamOf } from './stream.ts';

/** What to open: `'auto'` takes the first of cuda, webgpu, cpu that is there. */
export type DeviceSpec = 'auto' | 'cpu' | 'cuda' | `cuda:${number}` | 'webgpu' | 'sim';

/** Options of {@link openDevice}. */
export interface DeviceOptions extends BackendOptions {}

/**
 * A recorded sequence of operations, replayed as one. Lengths on the device may change between.
 *
 * The graph keeps the memory of every tensor that was used while it was recorded, until it is disposed
 * of itself. So tensors may be disposed of before, outputs and temporaries within the captured function
 * too, and a replay never reads or writes what others have got since. `memoryStats` counts that memory
 * as allocated.
 */
export class Graph implements Disposable {
  readonly #device: Device;
  readonly #graph: BackendGraph;
  readonly #recording: Recording;
  #disposed = false;

  /** Use {@link Device.capture}. */
  constructor(device: Device, graph: BackendGraph, recording: Recording) {
    this.#device = device;
    this.#graph = graph;
    this.#recording = recording;
  }

  /**
   * Enqueues everything that was recorded. Replays of one graph run one after the other, whatever their
   * streams. Throws {@link DisposedError}.
   */
  replay(options?: StreamOptions): void {
    this.#device.recording?.refuse('replay() of a graph');
    if (this.#disposed || this.#device.closed) throw new DisposedError('graph');
    const stream = streamOf(options);
    if (stream === undefined) this.#graph.replay();
    else this.#device.withStream(stream, () => this.#graph.replay());
  }

  /**
   * Gives up what the graph holds, once the replays under way are done: its own memory, and that of
   * tensors that were disposed of before. Other tensors stay. Idempotent.
   */
  dispose(): void {
    if (this.#disposed) return;
    this.#device.recording?.refuse('dispose() of a graph');
    this.#disposed = true;
    if (this.#device.closed) return;
    this.#graph.dispose();
    this.#recording.release(this.#device.backend);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Options of {@link Device.empty}. */
export interface EmptyOptions {
  readonly purpose?: MemoryPurpose | undefined;
}

/** An opened device. Calls only enqueue; `read()` and {@link synchronize} wait. */
export class Device implements TensorHost, AsyncDisposable {
  readonly info: DeviceInfo;
  readonly debug: boolean;
  /** Devices that `'auto'` preferred but could not open, with why. */
  readonly skipped: readonly Error[];
  /** The stream of everything that names no other. */
  readonly defaultStream: Stream;
  readonly #backend: Backend;
  #stream: Stream;
  /** Streams made so far, and those of them that are not disposed of. */
  #streams = 0;
  #liveStreams = 0;
  #closed = false;
  #closing: Promise<void> | undefined;
  #epoch = 0;
  #recording: Recording | undefined;

  /** Use {@link openDevice}. */
  constructor(backend: Backend, debug: boolean, skipped: readonly Error[]) {
    this.#backend = backend;
    this.info = backend.info;
    this.debug = debug;
    this.skipped = skipped;
    this.defaultStream = new Stream(this, backend.defaultStream, 'default stream');
    this.#stream = this.defaultStream;
  }

  get id(): string {
    return this.info.id;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The stream that work goes to at present; see {@link withStream}. */
  get stream(): Stream {
    return this.#stream;
  }

  /** The capture under way. */
  get recording(): Recording | undefined {
    return this.#recording;
  }

  get backend(): Backend {
    if (this.#closed) throw new DisposedError(`device '${this.id}'`);
    return this.#backend;
  }

  /**
   * A contiguous tensor with a copy of `data`. Numbers (arrays, `Float32Array` for a 16- or 8-bit
   * float) are encoded: nearest even, e4m3 saturating; for u8, i32 and i64 they must be integers that the
   * dtype holds. A typed array of the dtype's own storage (`Uint16Array` for f16 and bf16, `Uint8Array`
   * for e4m3, e8m0 and u8) is taken as bit codes. Throws {@link InvalidArgumentError} and
   * {@link OutOfMemoryError}.
   */
  tensor<D extends DType>(
    data: ArrayLike<number> | ArrayLike<bigint> | TypedArray,
    shape: readonly number[],
    dtype: D,
  ): Tensor<D> {
    checkShape(shape);
    checkDType(dtype);
    checkData(data, shape);
    const storage = toStorage(dtype, data);
    const tensor = this.empty(shape, dtype);
    try {
      tensor.write(storage);
    } catch (error) {
      tensor.dispose();
      throw error;
    }
    return tensor;
  }

  /**
   * A contiguous tensor with undefined contents. Throws {@link OutOfMemoryError}. WebGPU says late that
   * memory has run out: there this throws only where the device would hold more than 512 GiB, and else
   * the next `read()` or {@link synchronize} rejects.
   *
   * `purpose: 'weights'` says that the tensor is a large matrix that is written once and read by products: the
   * processor may keep it outside WebAssembly's 4 GiB.
   */
  empty<D extends DType>(
    shape: readonly number[],
    dtype: D,
    { purpose }: EmptyOptions = {},
  ): Tensor<D> {
    checkShape(shape);
    checkDType(dtype);
    return Tensor.allocate(this, shape, dtype, purpose);
  }

  /**
   * A tensor with undefined contents whose strides (elements) are given, e.g. a `model1` cache whose
   * blocks are padded. Throws {@link InvalidArgumentError} for strides that are not non-negative
   * integers, {@link OutOfMemoryError}.
   */
  emptyStrided<D extends DType>(
    shape: readonly number[],
    strides: readonly number[],
    dtype: D,
  ): Tensor<D> {
    checkShape(shape);
    checkDType(dtype);
    if (!areCounts(strides) || strides.length !== shape.length) {
      throw new InvalidArgumentError(
        'strides',
        `${shape.length} non-negative integers for shape (${shape.join(', ')})`,
        describeValue(strides),
      );
    }
    // Room for the padding behind the last block too, so that all blocks are alike.
    const outer = (shape[0] ?? 1) * (strides[0] ?? 1);
    const span = shape.reduce((sum, n, i) => sum + Math.max(0, n - 1) * (strides[i] ?? 0), 1);
    const elements = [Math.max(span, outer)];
    checkShape(elements, 'strides');
    return Tensor.allocate(this, elements, dtype).asStrided(shape, strides);
  }

  /**
   * Records what `enqueue` enqueues, without running it; {@link Graph.replay} runs it. `enqueue` may make
   * tensors, write them and dispose of them: what it writes is written by each replay, and the graph
   * keeps the memory that it uses (see {@link Graph}).
   *
   * One stream is recorded; others take part once they wait for an event that was recorded within, and
   * that stream must wait for them again before the end.
   *
   * It must not be async, and must not read, synchronise, capture, replay, make streams, or dispose of
   * them, a graph or the device: that throws {@link InvalidArgumentError}, and so does this. What `enqueue`
   * throws ends the capture and is thrown on.
   */
  capture(enqueue: () => void, options?: StreamOptions): Graph {
    if (typeof enqueue !== 'function' || this.#recording) {
      throw new InvalidArgumentError(
        'enqueue',
        'a function, outside of any other capture',
        this.#recording ? 'one inside a capture' : describeValue(enqueue),
      );
    }
    const stream = streamOf(options);
    if (stream !== undefined) return this.withStream(stream, () => this.capture(enqueue));
    const { backend } = this;
    const recording = new Recording(this.#stream, this.#liveStreams === 0);
    this.#recording = recording;
    this.#epoch++;
    try {
      const run = () => {
        const result: unknown = enqueue();
        if (result instanceof Promise) {
          throw new InvalidArgumentError(
            'enqueue',
            'a function that does not wait',
            'an async one',
          );
        }
        checkJoined(recording, this.#stream);
      };
      return new Graph(this, backend.capture(run), recording);
    } catch (error) {
      recording.release(backend);
      throw error;
    } finally {
      this.#recording = undefined;
      this.#epoch++;
    }
  }

  /**
   * Enqueues a call of an operation on the kernel that its arguments select: the library's operations
   * come with functions that check their arguments and do this; use it for operations of your own.
   * The arguments are not checked. Throws {@link UnsupportedOperationError} where no kernel takes the
   * call, {@link KernelCompileError}, {@link OutOfMemoryError}; then nothing is enqueued.
   */
  run<Args extends object>(
    operation: Operation<Args, never, unknown>,
    args: Args,
    options?: StreamOptions,
  ): void {
    const stream = streamOf(options);
    if (stream === undefined) this.backend.run(operation, args);
    else this.withStream(stream, () => this.backend.run(operation, args));
  }

  /**
   * Host memory that the device copies from and to by itself; see {@link PinnedBuffer}. Throws
   * {@link InvalidArgumentError}, {@link OutOfMemoryError}.
   */
  pinned(byteLength: number): PinnedBuffer {
    return new PinnedBuffer(this, byteLength);
  }

  /**
   * A contiguous tensor on the memory of a pinned buffer, from its first byte on: kernels read and write it
   * where it is, in the host's memory, which is slow but needs no copy. For `cuda` and `sim`. Disposing of
   * the tensor or of the buffer disposes of both. Throws {@link InvalidArgumentError} for a device whose
   * kernels do not reach host memory, and where the buffer is too small.
   */
  tensorOn<D extends DType>(buffer: PinnedBuffer, shape: readonly number[], dtype: D): Tensor<D> {
    if (!PinnedBuffer.isPinned(buffer) || buffer.device !== this) {
      const actual = PinnedBuffer.isPinned(buffer) ? 'one of another' : describeValue(buffer);
      throw new InvalidArgumentError('buffer', 'a pinned buffer of this device', actual);
    }
    checkShape(shape);
    checkDType(dtype);
    if (!this.backend.reachesHostMemory) {
      throw new InvalidArgumentError(
        'buffer',
        'a device whose kernels reach host memory (cuda, sim)',
        `device '${this.id}'`,
        'Copy what kernels need with copy().',
      );
    }
    const byteLength = numElements(shape) * dtypeSize(dtype);
    if (byteLength > buffer.byteLength) {
      const room = `at most ${buffer.byteLength} bytes, the buffer's`;
      throw new InvalidArgumentError('shape', room, `${byteLength}`);
    }
    const layout = contiguousLayout(shape);
    const allocation = allocationOf(buffer);
    return new Tensor(this, allocation, dtype, layout.shape, layout.strides, 0);
  }

  /**
   * Enqueues a copy of bytes from one contiguous tensor or pinned buffer to another of this device; one of
   * them at least is a tensor. Without ranges both have equally many bytes and all are copied. Source and
   * target may be parts of one tensor if they do not overlap.
   *
   * Host memory is read and written when the stream gets there; within a capture, by each replay. Throws
   * {@link InvalidArgumentError}, {@link DisposedError}; then nothing is enqueued.
   */
  copy(source: Tensor | PinnedBuffer, target: Tensor | PinnedBuffer, options?: CopyOptions): void {
    const stream = streamOf(options);
    const enqueue = () => enqueueCopy(this, source, target, options?.ranges);
    if (stream === undefined) enqueue();
    else this.withStream(stream, enqueue);
  }

  /**
   * A stream of its own order: see docs/streams.md. Its work comes after what was enqueued on the default
   * stream so far. On `cpu` and `webgpu`, which have one queue, work of all streams runs in the order of
   * the calls. Dispose of it after its last use.
   *
   * `name` is for messages. Throws {@link InvalidArgumentError}, also within a capture.
   */
  createStream(options: { readonly name?: string | undefined } = {}): Stream {
    this.#recording?.refuse('createStream()');
    const name = options.name ?? `stream ${this.#streams + 1}`;
    if (typeof name !== 'string' || name === '' || name.length > 64) {
      throw new InvalidArgumentError('name', 'a text of 1 to 64 characters', describeValue(name));
    }
    const queue = this.backend.createStream(name);
    this.#streams++;
    this.#liveStreams++;
    return new Stream(this, queue, name, () => {
      this.#liveStreams--;
    });
  }

  /**
   * Runs `enqueue` and gives its result. What it enqueues goes to the stream: operations, writes, reads,
   * replays, whether or not they have an option for it. So `withStream(s, () => rmsNorm(…))` works for
   * every function of the library. It must not be an async function, whose work after a wait would go
   * elsewhere. Throws {@link InvalidArgumentError}, {@link DisposedError}, and what `enqueue` throws.
   */
  withStream<T>(stream: Stream, enqueue: () => T): T {
    if (typeof enqueue !== 'function' || isAsync(enqueue)) {
      const actual = typeof enqueue === 'function' ? 'an async one' : describeValue(enqueue);
      throw new InvalidArgumentError('enqueue', 'a function that does not wait', actual);
    }
    const { backend } = this;
    const queue = queueOf(stream, this);
    const before = { stream: this.#stream, queue: backend.stream };
    this.#stream = stream;
    backend.stream = queue;
    try {
      return enqueue();
    } finally {
      this.#stream = before.stream;
      backend.stream = before.queue;
    }
  }

  /**
   * Resolves once all work enqueued so far, on all streams, is done; rejects with what went wrong in it, and with
   * {@link DisposedError} if the device is disposed of meanwhile. Within a capture it throws
   * {@link InvalidArgumentError}.
   */
  synchronize(): Promise<void> {
    this.#recording?.refuse('synchronize()');
    return this.backend.synchronize();
  }

  /** Device memory in bytes. */
  memoryStats(): MemoryStats {
    return this.backend.memoryStats();
  }

  /**
   * Stops the device and frees all its tensors; resolves when it has stopped. Reads and
   * {@link synchronize} that are pending reject with {@link DisposedError}: await them first to have
   * their results. Idempotent.
   */
  dispose(): Promise<void> {
    this.#recording?.refuse('dispose() of its device');
    this.#closed = true;
    this.#closing ??= this.#backend.close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Within a capture: every stream that takes part must have been waited for. */
function checkJoined({ order }: Recording, origin: Stream): void {
  const { unjoined } = order;
  if (unjoined === undefined) return;
  throw new InvalidArgumentError(
    'enqueue',
    `a function after which '${origin.name}' has waited for all work that it captured`,
    `one that leaves work of '${(unjoined as Stream).name}' unordered`,
    'Let the captured stream wait() for an event that the other record()s after its last work.',
  );
}

/** Whether a function is declared async. */
function isAsync(value: object): boolean {
  return Object.prototype.toString.call(value) === '[object AsyncFunction]';
}

function toStorage<D extends DType>(
  dtype: D,
  data: ArrayLike<number> | ArrayLike<bigint> | TypedArray,
): StorageOf<D> {
  return isStorageOf(dtype, data) ? data : encodeElements(dtype, data);
}

/** Numbers or a typed array, one for each element. */
function checkData(data: unknown, shape: readonly number[]): void {
  if (typedArrayName(data) === undefined && !isNumberArray(data)) {
    throw new InvalidArgumentError('data', 'numbers or a typed array', describeValue(data));
  }
  const { length } = data as ArrayLike<number>;
  if (length === numElements(shape)) return;
  throw new InvalidArgumentError(
    'data',
    `${numElements(shape)} elements for shape (${shape.join(', ')})`,
    `${length}`,
  );
}

function isNumberArray(data: unknown): boolean {
  if (!Array.isArray(data)) return false;
  // Unlike `every`, this sees holes.
  for (const n of data) if (typeof n !== 'number' && typeof n !== 'bigint') return false;
  return true;
}

function checkShape(shape: readonly number[], name = 'shape'): void {
  if (areCounts(shape) && numElements(shape) <= Number.MAX_SAFE_INTEGER / dtypeSize('i64')) return;
  throw new InvalidArgumentError(
    name,
    'non-negative integers whose product is below 2^50',
    describeValue(shape),
  );
}

function checkDType(dtype: DType): void {
  if (isDType(dtype)) return;
  throw new InvalidArgumentError('dtype', `one of ${dtypes.join(', ')}`, describeValue(dtype));
}
