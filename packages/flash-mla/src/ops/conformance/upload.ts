import {
  type DType,
  dtypeSize,
  type HostTensor,
  numElements,
  type StorageOf,
  storageFromBytes,
} from '@flash-mla/core';
import type { Device } from '../../runtime/device/device.ts';
import { packedRows } from '../../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';

/** Where a tensor lies in memory of its own, which is poison everywhere else. Counts are elements. */
export interface Place {
  readonly strides: readonly number[];
  readonly offset: number;
  /** Length of the memory. */
  readonly span: number;
}

/** Memory that was uploaded, with what must still be in it after a call. */
interface Watched {
  readonly name: string;
  readonly memory: Tensor;
  readonly expected: Uint8Array;
  /** Outputs: 1 for each element that the call may write. */
  readonly writable?: Uint8Array;
}

/** The tensors of one run: everything that was uploaded or allocated for it is freed together. */
export class Uploads {
  readonly device: Device;
  readonly #owned: { dispose(): void }[] = [];
  readonly #watched: Watched[] = [];
  /** Fill a tensor and the memory around it with what was uploaded. */
  readonly #restorers = new WeakMap<Tensor, () => void>();

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
    const tensor = this.own(this.device.tensor(host.data, host.shape, host.dtype));
    this.#restorers.set(tensor, () => tensor.write(host.data));
    return tensor;
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
    const span = (shape[0] as number) * (strides[0] as number) + gap;
    return this.#place(host, { strides, offset: gap, span }).view;
  }

  /**
   * A packed FP8 cache (blocks, page, 1, rowBytes) with poison between its blocks: `model1` blocks
   * padded as FlashMLA pads them, and `extra` bytes after every block.
   */
  putPacked(layout: 'v32' | 'model1', host: HostTensor<'u8'>, extra = 0): Tensor<'u8'> {
    const [blocks, page, , rowBytes] = host.shape as [number, number, number, number];
    const { blockPadding } = packedRows[layout];
    const blockBytes = Math.ceil((page * rowBytes) / blockPadding) * blockPadding + extra;
    const strides = [blockBytes, rowBytes, rowBytes, 1];
    return this.#place(host, { strides, offset: 0, span: blocks * blockBytes }).view;
  }

  /**
   * A copy at a place of the caller's choice, watched: {@link changes} tells if a call wrote to it or
   * around it. `output`: the call may write to the tensor, but not around it.
   */
  putPlaced<D extends DType>(
    name: string,
    host: HostTensor<D>,
    place: Place,
    output = false,
  ): Tensor<D> {
    const { view, memory, flat } = this.#place(host, place);
    const writable = output ? new Uint8Array(place.span) : undefined;
    if (writable) {
      eachRow(host.shape, place, (_, target, length) => writable.fill(1, target, target + length));
    }
    const expected = bytesOf(flat).slice();
    this.#watched.push({ name, memory, expected, ...(writable && { writable }) });
    return view;
  }

  /** A contiguous tensor full of poison, so that an element that is never written shows. */
  poisoned<D extends DType>(shape: readonly number[], dtype: D): Tensor<D> {
    return this.own(this.device.tensor(poison(dtype, numElements(shape)), shape, dtype));
  }

  /** Overwrites a contiguous tensor. */
  rewrite<D extends DType>(tensor: Tensor<D>, values: StorageOf<D>): void {
    tensor.write(values);
    const watched = this.#watched.find(({ memory }) => memory.buffer === tensor.buffer);
    watched?.expected.set(bytesOf(values), tensor.byteOffset);
  }

  /** Makes a tensor what it was when it was put here. */
  restore(tensor: Tensor): void {
    this.#restorers.get(tensor)?.();
  }

  /** What the calls so far changed that they must not change: inputs, and memory around tensors. */
  async changes(): Promise<string[]> {
    const found: string[] = [];
    for (const { name, memory, expected, writable } of this.#watched) {
      if (memory.size === 0) continue;
      const bytes = bytesOf(await memory.read());
      const size = dtypeSize(memory.dtype);
      const at = bytes.findIndex(
        (byte, i) => byte !== expected[i] && writable?.[Math.floor(i / size)] !== 1,
      );
      if (at === -1) continue;
      const what = writable ? 'memory around' : 'the input';
      found.push(
        `${what} ${name} was written to, at element ${Math.floor(at / size)} of its memory`,
      );
    }
    return found;
  }

  dispose(): void {
    for (const owned of this.#owned) owned.dispose();
    this.#owned.length = 0;
  }

  #place<D extends DType>({ dtype, shape, data }: HostTensor<D>, place: Place) {
    const { strides, offset, span } = place;
    const flat = poison(dtype, span);
    eachRow(shape, place, (begin, target, length) => {
      // The subarray and its target have the storage type of one dtype, which TypeScript cannot follow.
      flat.set(data.subarray(begin, begin + length) as never, target);
    });
    const memory = this.own(this.device.tensor(flat, [span], dtype));
    const view = memory.asStrided(shape, strides, offset);
    this.#restorers.set(view, () => memory.write(flat));
    return { view, memory, flat };
  }
}

/** Calls back for each row: where it begins in a contiguous tensor and in memory, and its length. */
function eachRow(
  shape: readonly number[],
  { strides, offset }: Place,
  visit: (begin: number, target: number, length: number) => void,
): void {
  const count = numElements(shape);
  const length = shape.at(-1) as number;
  const index = shape.slice(0, -1).map(() => 0);
  let target = offset;
  for (let begin = 0; begin < count; begin += length) {
    visit(begin, target, length);
    for (let d = index.length - 1; d >= 0; d--) {
      target += strides[d] as number;
      index[d] = (index[d] as number) + 1;
      if ((index[d] as number) < (shape[d] as number)) break;
      target -= (shape[d] as number) * (strides[d] as number);
      index[d] = 0;
    }
  }
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
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
