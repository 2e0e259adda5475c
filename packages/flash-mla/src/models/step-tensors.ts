import type { DType } from '@flash-mla/core';
import type { Rotation, Sequence } from '@flash-mla/models';
import type { Device } from '../runtime/device/device.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';

/** cos and sin of a step's rows on the device, and how `applyRope` calls the pairing. */
export interface DeviceRotation {
  readonly cos: Tensor<'f32'>;
  readonly sin: Tensor<'f32'>;
  readonly pairs: 'interleaved' | 'half';
}

/** The tensors of one step: they are disposed of together when it ends. */
export class StepTensors {
  readonly device: Device;
  #tensors: Disposable[] = [];
  /** What all layers of a step share, by the step's rotation. */
  #shared = new Map<string, unknown>();

  constructor(device: Device) {
    this.device = device;
  }

  /** Steps do not overlap: a step's results are read before the next one begins. */
  async scope<Result>(run: () => Promise<Result>): Promise<Result> {
    try {
      return await run();
    } finally {
      for (const tensor of this.#tensors) tensor[Symbol.dispose]();
      this.#tensors = [];
      this.#shared = new Map();
    }
  }

  /** Takes over what is to live until the step ends. */
  keep<Kept extends Disposable>(tensor: Kept): Kept {
    this.#tensors.push(tensor);
    return tensor;
  }

  empty<D extends DType>(shape: readonly number[], dtype: D): Tensor<D> {
    return this.keep(this.device.empty(shape, dtype));
  }

  integers(values: Int32Array): Tensor<'i32'> {
    return this.keep(this.device.tensor(values, [values.length], 'i32'));
  }

  /** Made by the first layer that asks, used by the others. */
  share<Shared>(key: string, make: () => Shared): Shared {
    const made = (this.#shared.get(key) as Shared | undefined) ?? make();
    this.#shared.set(key, made);
    return made;
  }

  rotation({ cos, sin, pairs, pairing }: Rotation): DeviceRotation {
    return this.share('rotation', () => {
      const upload = (table: Float32Array) =>
        this.keep(this.device.tensor(table, [table.length / pairs, pairs], 'f32'));
      const name = pairing === 'halves' ? 'half' : 'interleaved';
      return { cos: upload(cos), sin: upload(sin), pairs: name };
    });
  }

  /** Where the cache keeps the step's tokens. */
  slots(sequences: readonly Sequence[], pageSize: number): Tensor<'i32'> {
    return this.share('slots', () => {
      const slots: number[] = [];
      for (const { pages, start, count, row } of sequences) {
        for (let i = 0; i < count; i++) {
          const position = start + i;
          const page = pages[Math.floor(position / pageSize)] ?? 0;
          slots[row + i] = page * pageSize + (position % pageSize);
        }
      }
      return this.integers(Int32Array.from(slots));
    });
  }
}
