import type { Device } from '../device.ts';
import type { HostTensor } from '../reference/host-tensor.ts';
import { type DType, dtypeSize, type StorageOf, storageFromBytes } from '../tensor/dtype.ts';
import { packedRows } from '../tensor/packed-rows.ts';
import { numElements } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** The tensors of one run: everything that was uploaded or allocated for it is freed together. */
export class Uploads {
  readonly device: Device;
  readonly #owned: { dispose(): void }[] = [];

  constructor(device: Device) {
    this.device = device;
  }

  /** Takes over a tensor or metadata. */
  own<T extends { dispose(): void }>(owned: T): T {
    this.#owned.push(owned);
    return owned;
  }

  /** A copy of a host tensor, contiguous. */
  put<D extends DType>(host: HostTensor<D>): Tensor<D> {
    return this.own(this.device.tensor(host.data, host.shape, host.dtype));
  }

  /**
   * A copy with `gap` elements of poison after each row and before the first one, and, unless
   * `rowsOnly`, a row of poison at the end of every outer dimension but the first. The last dimension
   * stays contiguous.
   */
  putStrided<D extends DType>(host: HostTensor<D>, gap: number, rowsOnly = false): Tensor<D> {
    const { shape } = host;
    const last = shape.length - 1;
    const strides = shape.map(() => 1);
    for (let d = last - 1; d >= 0; d--) {
      const extra = d + 1 === last ? gap : rowsOnly ? 0 : 1;
      strides[d] = (strides[d + 1] as number) * ((shape[d + 1] as number) + extra);
    }
    return this.#scatter(host, strides, gap);
  }

  /**
   * A packed FP8 cache (blocks, page, 1, rowBytes) with poison between its blocks: `model1` blocks
   * padded as FlashMLA pads them, and `extra` bytes after every block.
   */
  putPacked(layout: 'v32' | 'model1', host: HostTensor<'u8'>, extra = 0): Tensor<'u8'> {
    const [, page, , rowBytes] = host.shape as [number, number, number, number];
    const { blockPadding } = packedRows[layout];
    const blockBytes = Math.ceil((page * rowBytes) / blockPadding) * blockPadding + extra;
    return this.#scatter(host, [blockBytes, rowBytes, rowBytes, 1], 0);
  }

  /** A contiguous tensor full of poison, so that an element that is never written shows. */
  poisoned<D extends DType>(shape: readonly number[], dtype: D): Tensor<D> {
    return this.own(this.device.tensor(poison(dtype, numElements(shape)), shape, dtype));
  }

  dispose(): void {
    for (const owned of this.#owned) owned.dispose();
    this.#owned.length = 0;
  }

  #scatter<D extends DType>(
    host: HostTensor<D>,
    strides: readonly number[],
    offset: number,
  ): Tensor<D> {
    const { dtype, shape, data } = host;
    const span = (shape[0] as number) * (strides[0] as number) + offset;
    const flat = poison(dtype, span);
    const rowLength = shape.at(-1) as number;
    const index = shape.slice(0, -1).map(() => 0);
    let target = offset;
    for (let begin = 0; begin < data.length; begin += rowLength) {
      // The subarray and its target have the storage type of one dtype, which TypeScript cannot follow.
      flat.set(data.subarray(begin, begin + rowLength) as never, target);
      for (let d = index.length - 1; d >= 0; d--) {
        target += strides[d] as number;
        index[d] = (index[d] as number) + 1;
        if ((index[d] as number) < (shape[d] as number)) break;
        target -= (shape[d] as number) * (strides[d] as number);
        index[d] = 0;
      }
    }
    const tensor = this.own(this.device.tensor(flat, [span], dtype));
    return tensor.asStrided(shape, strides, offset);
  }
}

/** NaN for floats, for integers a value that no index, length or block number has. */
export function poison<D extends DType>(dtype: D, count: number): StorageOf<D> {
  const data = storageFromBytes(dtype, new Uint8Array(count * dtypeSize(dtype)));
  const value = poisonOf[dtype as Exclude<DType, 'i64'>];
  if (data instanceof BigInt64Array) data.fill(2n ** 62n);
  else data.fill(value);
  return data;
}

const poisonOf: Readonly<Record<Exclude<DType, 'i64'>, number>> = {
  f32: Number.NaN,
  f16: 0x7fff,
  bf16: 0x7fff,
  e4m3: 0x7f,
  e8m0: 0xff,
  u8: 0xff,
  i32: 0x7ffffff0,
};
