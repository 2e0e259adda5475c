import {
  contiguousLayout,
  contiguousStrides,
  DisposedError,
  type DType,
  decodeElements,
  describeValue,
  dtypeSize,
  encodeElements,
  InvalidArgumentError,
  isContiguous,
  isStorageOf,
  numElements,
  OutOfMemoryError,
  type StorageOf,
  storageFromBytes,
  typedArrayName,
} from '@flash-mla/core';
import type { Backend, MemoryPurpose } from '../device/backend.ts';
import { type Stream, type StreamHost, type StreamOptions, streamOf } from '../device/stream.ts';
import {
  type Allocation,
  type AllocationHost,
  allocateMemory,
  allocationLabel,
  disposeMemory,
} from './allocation.ts';
import type { CopyOptions } from './copy.ts';
import { packedRows } from './packed-rows.ts';
import type { PinnedBuffer } from './pinned-buffer.ts';
import type { Recording } from './recording.ts';
import type { DeviceBuffer, TensorView } from './view.ts';
import { blocksOf, checkView, cutsBlocks, type WholeBlocks } from './whole-blocks.ts';
import { type ByteReader, writeFrom } from './write-from.ts';

/** What a tensor needs of the device it lives on. */
export interface TensorHost extends AllocationHost, StreamHost {
  readonly recording: Recording | undefined;
  readonly backend: Backend;
  /** Runs `enqueue`, whose work goes to the stream. */
  withStream<T>(stream: Stream, enqueue: () => T): T;
  /** Enqueues a copy by range. */
  copy(source: Tensor | PinnedBuffer, target: Tensor | PinnedBuffer, options?: CopyOptions): void;
  /** Changes whenever a capture begins or ends: what was enqueued in another epoch may not have run. */
  readonly epoch: number;
}

/**
 * A strided array on a device. Views made by {@link slice}, {@link reshape} and {@link stride} share
 * the memory of the tensor they came from and stay valid until that tensor is disposed.
 */
export class Tensor<D extends DType = DType> implements TensorView, Disposable {
  readonly device: TensorHost;
  readonly dtype: D;
  /** Frozen, for which V8 takes long to destructure as an array: `{ 0: b, 1: sQ }` on hot paths. */
  readonly shape: readonly number[];
  /** Elements between neighbours along each dimension. */
  readonly strides: readonly number[];
  readonly byteOffset: number;
  readonly #allocation: Allocation;
  /** The `model1` blocks that this tensor is a view of. */
  readonly #blocks: WholeBlocks | undefined;

  /** Use `device.tensor()` or `device.empty()`. `shape` and `strides` must be frozen. */
  constructor(
    device: TensorHost,
    allocation: Allocation,
    dtype: D,
    shape: readonly number[],
    strides: readonly number[],
    byteOffset: number,
    blocks?: WholeBlocks,
  ) {
    this.device = device;
    this.#allocation = allocation;
    this.dtype = dtype;
    this.shape = shape;
    this.strides = strides;
    this.byteOffset = byteOffset;
    this.#blocks = blocks;
    // Kernels follow these into memory, so they are as the constructors have checked them. A class that
    // has more fields freezes when they are set.
    if (new.target === Tensor) Object.freeze(this);
  }

  /** Whether a value is a tensor of this library, whatever its dtype. Never throws. */
  static isTensor(value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #allocation in value;
  }

  /** Allocates memory for a contiguous tensor. Throws {@link OutOfMemoryError}. */
  static allocate<D extends DType>(
    device: TensorHost,
    shape: readonly number[],
    dtype: D,
    purpose?: MemoryPurpose,
  ): Tensor<D> {
    const layout = contiguousLayout(shape);
    const allocation = allocateMemory(device, layout.shape, dtype, purpose);
    return new Tensor(device, allocation, dtype, layout.shape, layout.strides, 0);
  }

  /** Allocates a packed cache (blocks, page, 1, rowBytes). Throws {@link OutOfMemoryError}. */
  static allocatePacked(
    device: TensorHost,
    blocks: number,
    page: number,
    layout: keyof typeof packedRows,
  ): Tensor<'u8'> {
    const { rowBytes, blockPadding } = packedRows[layout];
    const blockBytes = Math.ceil((page * rowBytes) / blockPadding) * blockPadding;
    const allocation = allocateMemory(device, [blocks * blockBytes], 'u8');
    const shape = Object.freeze([blocks, page, 1, rowBytes]);
    const strides = Object.freeze([blockBytes, rowBytes, rowBytes, 1]);
    const whole = blocksOf({ dtype: 'u8', shape, strides, byteOffset: 0 }, true);
    return new Tensor(device, allocation, 'u8', shape, strides, 0, whole);
  }

  /** The blocks of a `model1` cache that a view of it cuts; undefined where it cuts none. */
  static cutBlocks(tensor: Tensor): WholeBlocks | undefined {
    const blocks = tensor.#blocks;
    return blocks && cutsBlocks(blocks, tensor) ? blocks : undefined;
  }

  /** Device memory. Throws {@link DisposedError} after {@link dispose}. */
  get buffer(): DeviceBuffer {
    const allocation = this.#allocation;
    if (allocation.disposed) throw new DisposedError(allocationLabel(allocation));
    // Whoever asks within a capture records a use of it.
    this.device.recording?.hold(allocation);
    return allocation.buffer;
  }

  get disposed(): boolean {
    return this.#allocation.disposed;
  }

  /** Number of elements, views counted by their own shape. */
  get size(): number {
    return numElements(this.shape);
  }

  get isContiguous(): boolean {
    return isContiguous(this.shape, this.strides);
  }

  /** Elements between neighbours along `dimension`; negative counts from the end. */
  stride(dimension: number): number {
    const rank = this.shape.length;
    const isIndex = Number.isInteger(dimension);
    const value = isIndex ? this.strides[dimension < 0 ? dimension + rank : dimension] : undefined;
    if (value === undefined)
      throw badDimension(`an integer from ${-rank} to ${rank - 1}`, dimension);
    return value;
  }

  /**
   * The view of entries `begin` to `end` (exclusive) along one dimension. Shares memory. Throws
   * {@link InvalidArgumentError} also for part of the tokens of a `model1` cache that this library made:
   * what lies in a block has a meaning only as a whole.
   */
  slice(dimension: number, begin: number, end: number): Tensor<D> {
    const length = Number.isInteger(dimension) ? this.shape[dimension] : undefined;
    if (length === undefined) {
      throw badDimension(`an integer from 0 to ${this.shape.length - 1}`, dimension);
    }
    if (
      !Number.isInteger(begin) ||
      !Number.isInteger(end) ||
      begin < 0 ||
      begin > end ||
      end > length
    ) {
      throw new InvalidArgumentError(
        'begin, end',
        `integers with 0 <= begin <= end <= ${length}`,
        `${describeValue(begin)}, ${describeValue(end)}`,
      );
    }
    const shape = Object.freeze(this.shape.map((n, i) => (i === dimension ? end - begin : n)));
    const byteOffset = this.byteOffset + begin * this.stride(dimension) * dtypeSize(this.dtype);
    return this.#view('dimension, begin, end', shape, this.strides, byteOffset);
  }

  /**
   * A view with its own shape, strides (elements) and offset (elements) on the same memory, as
   * `torch.as_strided`. Throws {@link InvalidArgumentError} if any element would lie outside, and for
   * parts of blocks as {@link slice} does.
   */
  asStrided(shape: readonly number[], strides: readonly number[], offset = 0): Tensor<D> {
    if (!areCounts(shape) || !areCounts(strides) || shape.length !== strides.length) {
      throw new InvalidArgumentError(
        'shape, strides',
        'equally many non-negative integers',
        `${describeValue(shape)}, ${describeValue(strides)}`,
      );
    }
    if (!areCounts([offset])) {
      throw new InvalidArgumentError('offset', 'a non-negative integer', describeValue(offset));
    }
    const size = dtypeSize(this.dtype);
    const byteOffset = this.byteOffset + offset * size;
    const last = shape.reduce((sum, n, i) => sum + (n - 1) * (strides[i] ?? 0), 0);
    const end = byteOffset + (numElements(shape) === 0 ? 0 : (last + 1) * size);
    if (end > this.buffer.byteLength) {
      throw new InvalidArgumentError(
        'strides',
        `a view inside ${this.buffer.byteLength} bytes`,
        `one that ends at byte ${end}`,
      );
    }
    const frozen = { shape: Object.freeze([...shape]), strides: Object.freeze([...strides]) };
    return this.#view('shape, strides', frozen.shape, frozen.strides, byteOffset);
  }

  /** The same elements under another shape. Needs a contiguous tensor. Shares memory. */
  reshape(shape: readonly number[]): Tensor<D> {
    if (!areCounts(shape) || !this.isContiguous || numElements(shape) !== this.size) {
      throw new InvalidArgumentError(
        'shape',
        `a shape of ${this.size} elements for a contiguous tensor`,
        `${describeValue(shape)}${this.isContiguous ? '' : ', the tensor is strided'}`,
      );
    }
    return this.asStrided(shape, contiguousStrides(shape));
  }

  /**
   * Overwrites a contiguous tensor, in order with the work already enqueued. Takes what {@link read}
   * gives, or the same as bytes. Within a capture the graph repeats the write, with the bytes of now.
   * Throws {@link InvalidArgumentError}.
   */
  write(data: StorageOf<D> | Uint8Array, options?: StreamOptions): void {
    const stream = streamOf(options);
    if (stream === undefined) this.#write(data);
    else this.device.withStream(stream, () => this.#write(data));
  }

  #write(data: StorageOf<D> | Uint8Array): void {
    if (typedArrayName(data) !== 'Uint8Array' && !isStorageOf(this.dtype, data)) {
      throw new InvalidArgumentError(
        'data',
        `the typed array of ${this.dtype} elements, or bytes`,
        describeValue(data),
      );
    }
    const { buffer } = this;
    // Of a detached array this is 0.
    const { byteLength } = data;
    const expected = this.size * dtypeSize(this.dtype);
    if (!this.isContiguous || byteLength !== expected) {
      throw new InvalidArgumentError(
        'data',
        `${expected} bytes for a contiguous tensor`,
        `${byteLength} bytes${this.isContiguous ? '' : ' for a strided tensor'}`,
      );
    }
    if (byteLength === 0) return;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, byteLength);
    this.device.backend.write(buffer, this.byteOffset, bytes);
  }

  /**
   * Writes one value to every element of a contiguous tensor, encoded as `device.tensor` encodes numbers,
   * in order with the work already enqueued. Throws {@link InvalidArgumentError}.
   */
  fill(value: number | bigint, options?: StreamOptions): void {
    const stream = streamOf(options);
    if (stream !== undefined) {
      this.device.withStream(stream, () => this.fill(value));
      return;
    }
    if (typeof value !== 'number' && typeof value !== 'bigint') {
      throw new InvalidArgumentError('value', 'a number', describeValue(value));
    }
    if (!this.isContiguous) {
      throw new InvalidArgumentError('tensor', 'a contiguous tensor', 'a strided one');
    }
    const { buffer } = this;
    const data = encodeElements(this.dtype, [value] as ArrayLike<number>);
    const element = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const byteLength = this.size * element.length;
    if (byteLength > 0) this.device.backend.fill(buffer, this.byteOffset, byteLength, element);
  }

  /**
   * Overwrites a contiguous tensor with all bytes of a reader, such as a part of a file, which go through
   * pinned memory and never through the heap. Resolves once they are on the device; until then the
   * contents are undefined, and after a failure they stay so. Rejects with {@link InvalidArgumentError},
   * and with what the reader rejects with. Within a capture it throws.
   */
  writeFrom(source: ByteReader, options?: StreamOptions): Promise<void> {
    this.device.recording?.refuse('writeFrom()');
    return writeFrom(this, source, streamOf(options) ?? this.device.stream);
  }

  /**
   * The elements in row-major order once all work enqueued so far is done: bit codes for f16, bf16,
   * e4m3, e8m0. Rejects with what went wrong in that work, with {@link DisposedError} if the device is
   * disposed of meanwhile, and with {@link OutOfMemoryError} where the host has no room for the elements.
   * Within a capture it throws {@link InvalidArgumentError}. It waits for the work of one stream; that of
   * others must be ordered before it by events.
   */
  read(options?: StreamOptions): Promise<StorageOf<D>> {
    this.device.recording?.refuse('read()');
    const stream = streamOf(options);
    return stream === undefined ? this.#read() : this.device.withStream(stream, () => this.#read());
  }

  async #read(): Promise<StorageOf<D>> {
    const { buffer } = this;
    const size = dtypeSize(this.dtype);
    if (this.size === 0) return storageFromBytes(this.dtype, new Uint8Array(0));
    const last = this.shape.reduce((sum, n, i) => sum + (n - 1) * (this.strides[i] ?? 0), 0);
    try {
      const bytes = await this.device.backend.read(buffer, this.byteOffset, (last + 1) * size);
      if (this.isContiguous) return storageFromBytes(this.dtype, bytes);
      return storageFromBytes(this.dtype, gather(bytes, this.shape, this.strides, size));
    } catch (error) {
      // What engines throw for a typed array that is too long, or that there is no memory for.
      if (!(error instanceof RangeError)) throw error;
      const remedy = 'Read the tensor in slices.';
      throw new OutOfMemoryError('host', this.size * size, undefined, remedy);
    }
  }

  /** As {@link read}, decoded to float32. */
  readFloat32(options?: StreamOptions): Promise<Float32Array> {
    return this.read(options).then((elements) => decodeElements(this.dtype, elements));
  }

  /**
   * Gives the memory back, for this tensor and every view of it, once the work that uses it is done and
   * every {@link Graph} that uses it is disposed of. Idempotent, and without effect where the device was
   * disposed of before.
   */
  dispose(): void {
    disposeMemory(this.device, this.#allocation);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #view(
    argument: string,
    shape: readonly number[],
    strides: readonly number[],
    byteOffset: number,
  ): Tensor<D> {
    const { device, dtype } = this;
    const blocks = this.#blocks ?? blocksOf(this, false);
    checkView(argument, blocks, { dtype, shape, strides, byteOffset });
    return new Tensor(device, this.#allocation, dtype, shape, strides, byteOffset, blocks);
  }
}

/** Whether a value is an array of non-negative integers, as shapes and strides are. */
export function areCounts(value: unknown): value is readonly number[] {
  if (!Array.isArray(value)) return false;
  for (const n of value) if (!Number.isSafeInteger(n) || n < 0) return false;
  return true;
}

function badDimension(expected: string, actual: unknown): InvalidArgumentError {
  return new InvalidArgumentError('dimension', expected, describeValue(actual));
}

function gather(
  bytes: Uint8Array,
  shape: readonly number[],
  strides: readonly number[],
  elementSize: number,
): Uint8Array {
  const out = new Uint8Array(numElements(shape) * elementSize);
  const index = shape.map(() => 0);
  let source = 0;
  for (let target = 0; target < out.length; target += elementSize) {
    for (let i = 0; i < elementSize; i++) out[target + i] = bytes[source * elementSize + i] ?? 0;
    for (let d = shape.length - 1; d >= 0; d--) {
      const next = (index[d] ?? 0) + 1;
      source += strides[d] ?? 0;
      if (next < (shape[d] ?? 0)) {
        index[d] = next;
        break;
      }
      source -= next * (strides[d] ?? 0);
      index[d] = 0;
    }
  }
  return out;
}
