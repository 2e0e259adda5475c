import type { Backend, BackendGraph, DeviceInfo, MemoryStats } from './backends/backend.ts';
import type { BackendOptions } from './backends/registry.ts';
import { DisposedError, InvalidArgumentError } from './errors.ts';
import { encodeElements } from './tensor/convert.ts';
import { type DType, dtypeSize, isDType, type StorageOf, type TypedArray } from './tensor/dtype.ts';
import { numElements } from './tensor/shape.ts';
import { Tensor, type TensorHost } from './tensor/tensor.ts';

/** What to open: `'auto'` takes the first of cuda, webgpu, cpu that is there. */
export type DeviceSpec = 'auto' | 'cpu' | 'cuda' | `cuda:${number}` | 'webgpu' | 'sim';

/** Options of {@link openDevice}. */
export interface DeviceOptions extends BackendOptions {}

/** A recorded sequence of operations, replayed as one. Lengths on the device may change between. */
export class Graph implements Disposable {
  readonly #graph: BackendGraph;

  constructor(graph: BackendGraph) {
    this.#graph = graph;
  }

  /** Enqueues everything that was recorded. */
  replay(): void {
    this.#graph.replay();
  }

  dispose(): void {
    this.#graph.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** An opened device. Calls only enqueue; `read()` and {@link synchronize} wait. */
export class Device implements TensorHost, AsyncDisposable {
  readonly info: DeviceInfo;
  readonly debug: boolean;
  /** Devices that `'auto'` preferred but could not open, with why. */
  readonly skipped: readonly Error[];
  readonly #backend: Backend;
  #closed = false;
  #epoch = 0;

  /** Use {@link openDevice}. */
  constructor(backend: Backend, debug: boolean, skipped: readonly Error[]) {
    this.#backend = backend;
    this.info = backend.info;
    this.debug = debug;
    this.skipped = skipped;
  }

  get id(): string {
    return this.info.id;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get backend(): Backend {
    if (this.#closed) throw new DisposedError(`device '${this.id}'`);
    return this.#backend;
  }

  /**
   * A contiguous tensor with a copy of `data`. Numbers (arrays, `Float32Array` for a 16- or 8-bit
   * float) are encoded: nearest even, e4m3 saturating. A typed array of the dtype's own storage
   * (`Uint16Array` for f16 and bf16, `Uint8Array` for e4m3, e8m0 and u8) is taken as bit codes.
   * Throws {@link InvalidArgumentError} and {@link OutOfMemoryError}.
   */
  tensor<D extends DType>(
    data: ArrayLike<number> | ArrayLike<bigint> | TypedArray,
    shape: readonly number[],
    dtype: D,
  ): Tensor<D> {
    checkShape(shape);
    checkDType(dtype);
    const count = numElements(shape);
    if (data.length !== count) {
      throw new InvalidArgumentError(
        'data',
        `${count} elements for shape (${shape.join(', ')})`,
        `${data.length}`,
      );
    }
    const storage = toStorage(dtype, data);
    const tensor = this.empty(shape, dtype);
    this.backend.write(
      tensor.buffer,
      0,
      new Uint8Array(storage.buffer, storage.byteOffset, storage.byteLength),
    );
    return tensor;
  }

  /** A contiguous tensor with undefined contents. Throws {@link OutOfMemoryError}. */
  empty<D extends DType>(shape: readonly number[], dtype: D): Tensor<D> {
    checkShape(shape);
    checkDType(dtype);
    return Tensor.allocate(this, [...shape], dtype);
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
    checkShape(strides, 'strides');
    checkDType(dtype);
    const span = shape.reduce((sum, n, i) => sum + Math.max(0, n - 1) * (strides[i] ?? 0), 1);
    const outer = (shape[0] ?? 1) * (strides[0] ?? 1);
    return Tensor.allocate(this, [Math.max(span, outer)], dtype).asStrided(shape, strides);
  }

  /**
   * Records what `enqueue` enqueues, without running it. Tensors it uses must outlive the graph.
   * `enqueue` must not await, read or free.
   */
  capture(enqueue: () => void): Graph {
    this.#epoch++;
    try {
      return new Graph(this.backend.capture(enqueue));
    } finally {
      this.#epoch++;
    }
  }

  /** Resolves once all work enqueued so far is done; rejects with what went wrong in it. */
  synchronize(): Promise<void> {
    return this.backend.synchronize();
  }

  /** Device memory in bytes. */
  memoryStats(): MemoryStats {
    return this.backend.memoryStats();
  }

  /** Stops the device and frees all its tensors. Pending reads reject. Idempotent. */
  async dispose(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#backend.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

function toStorage<D extends DType>(
  dtype: D,
  data: ArrayLike<number> | ArrayLike<bigint> | TypedArray,
): StorageOf<D> {
  const isCode = {
    f32: data instanceof Float32Array,
    f16: data instanceof Uint16Array,
    bf16: data instanceof Uint16Array,
    e4m3: data instanceof Uint8Array,
    e8m0: data instanceof Uint8Array,
    u8: data instanceof Uint8Array,
    i32: data instanceof Int32Array,
    i64: data instanceof BigInt64Array,
  }[dtype as DType];
  return isCode ? (data as StorageOf<D>) : encodeElements(dtype, data);
}

function checkShape(shape: readonly number[], name = 'shape'): void {
  const fits =
    Array.isArray(shape) &&
    shape.every((n) => Number.isSafeInteger(n) && n >= 0) &&
    numElements(shape) <= Number.MAX_SAFE_INTEGER / dtypeSize('i64');
  if (!fits) {
    throw new InvalidArgumentError(name, 'an array of non-negative integers', String(shape));
  }
}

function checkDType(dtype: DType): void {
  if (!isDType(dtype)) throw new InvalidArgumentError('dtype', 'a dtype name', String(dtype));
}
