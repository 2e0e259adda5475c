import { type DType, dtypeSize, type StorageOf, storageFromBytes } from './dtype.ts';
import { InvalidArgumentError } from './errors.ts';
import { decodeE4m3, decodeE8m0 } from './float8.ts';
import { decodeF16 } from './float16.ts';
import { numElements } from './shape.ts';

/**
 * A row-major array in host memory: what a case file holds and what the reference reads. 16- and
 * 8-bit floats are bit codes, as `Tensor.read()` gives them.
 */
export interface HostTensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: StorageOf<D>;
}

/** Pairs data with its shape. Throws {@link InvalidArgumentError} when they do not fit. */
export function hostTensor<D extends DType>(
  dtype: D,
  shape: readonly number[],
  data: StorageOf<D>,
): HostTensor<D> {
  if (data.length !== numElements(shape)) {
    throw new InvalidArgumentError(
      'data',
      `${numElements(shape)} elements for shape (${shape.join(', ')})`,
      `${data.length}`,
    );
  }
  return { dtype, shape, data };
}

/** The bytes of a row-major array as a {@link HostTensor}, e.g. a tensor of a safetensors file. */
export function hostTensorFromBytes<D extends DType>(
  dtype: D,
  shape: readonly number[],
  bytes: Uint8Array,
): HostTensor<D> {
  if (bytes.byteLength !== numElements(shape) * dtypeSize(dtype)) {
    throw new InvalidArgumentError(
      'bytes',
      `${numElements(shape) * dtypeSize(dtype)} bytes for ${dtype} (${shape.join(', ')})`,
      `${bytes.byteLength}`,
    );
  }
  return { dtype, shape, data: storageFromBytes(dtype, bytes) };
}

const scratch = new Uint32Array(2048);
const scratchFloats = new Float32Array(scratch.buffer);

/** Decodes `count` elements from `begin` on into `target` at `offset`; exact. */
export function decodeInto(
  source: HostTensor,
  begin: number,
  count: number,
  target: Float64Array,
  offset: number,
): void {
  const { dtype } = source;
  if (dtype === 'bf16') {
    // A bfloat16 is the upper half of a float32: widen through the bits, a stretch at a time.
    const codes = source.data as Uint16Array;
    for (let done = 0; done < count; done += scratch.length) {
      const n = Math.min(scratch.length, count - done);
      for (let i = 0; i < n; i++) scratch[i] = (codes[begin + done + i] as number) << 16;
      target.set(
        n === scratch.length ? scratchFloats : scratchFloats.subarray(0, n),
        offset + done,
      );
    }
    return;
  }
  if (dtype === 'i64') {
    throw new InvalidArgumentError('dtype', 'a dtype that float64 holds exactly', 'i64');
  }
  const data = source.data as Exclude<StorageOf<DType>, BigInt64Array>;
  const decode =
    dtype === 'f16'
      ? decodeF16
      : dtype === 'e4m3'
        ? decodeE4m3
        : dtype === 'e8m0'
          ? decodeE8m0
          : undefined;
  if (decode === undefined) target.set(data.subarray(begin, begin + count), offset);
  else for (let i = 0; i < count; i++) target[offset + i] = decode(data[begin + i] as number);
}

/** All elements as float64. */
export function decodeAll(source: HostTensor): Float64Array {
  const out = new Float64Array(source.data.length);
  decodeInto(source, 0, out.length, out, 0);
  return out;
}

/** The extents of a tensor that must have `rank` of them. Throws {@link InvalidArgumentError}. */
export function extents(name: string, tensor: HostTensor, rank: number): number[] {
  if (tensor.shape.length !== rank) {
    throw new InvalidArgumentError(
      name,
      `${rank} dimensions`,
      `shape (${tensor.shape.join(', ')})`,
    );
  }
  return [...tensor.shape];
}
