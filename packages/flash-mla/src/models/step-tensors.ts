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

/** What a step computes with, where that lies on the device already: a step that is recorded. */
export interface StepInputs {
  /** (rows): token ids. */
  readonly ids: Tensor<'i32'>;
  readonly slots: Tensor<'i32'>;
  /** Made when the step is recorded. */
  rotation(): DeviceRotation;
  /** (rows, blocks) and (rows): one sequence in each row, of which the last token is new. */
  readonly blockTable: Tensor<'i32'>;
  readonly cacheSeqlens: Tensor<'i32'>;
}

/** The tensors of one step: they are disposed of together when it ends. */
export class StepTensors {
  readonly device: Device;
  #inputs: StepInputs | undefined;
  /** To be disposed of when the step ends, and before that when the layer ends. */
  #tensors: Disposable[] = [];
  #ofLayer: Disposable[] | undefined;
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
      this.#end();
    }
  }

  /** A step whose calls are all made before this returns, reads of results included. */
  enqueue<Result>(run: () => Result, inputs?: StepInputs): Result {
    this.#inputs = inputs;
    try {
      return run();
    } finally {
      this.#end();
    }
  }

  /** What `run` makes is disposed of when it returns, but for what all layers share. */
  layer(run: () => void): void {
    const own: Disposable[] = [];
    this.#ofLayer = own;
    try {
      run();
    } finally {
      this.#ofLayer = undefined;
      for (const tensor of own) tensor[Symbol.dispose]();
    }
  }

  #end(): void {
    for (const tensor of this.#tensors) tensor[Symbol.dispose]();
    this.#tensors = [];
    this.#shared = new Map();
    this.#inputs = undefined;
  }

  /** Of a step that is recorded. */
  get inputs(): StepInputs | undefined {
    return this.#inputs;
  }

  /** Takes over what is to live until the layer ends, or outside of layers until the step ends. */
  keep<Kept extends Disposable>(tensor: Kept): Kept {
    (this.#ofLayer ?? this.#tensors).push(tensor);
    return tensor;
  }

  /** Gives back what the step would dispose of. */
  detach<Kept extends Disposable>(tensor: Kept): Kept {
    this.#tensors = this.#tensors.filter((own) => own !== tensor);
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
    const known = this.#shared.get(key) as Shared | undefined;
    if (known !== undefined) return known;
    const ofLayer = this.#ofLayer;
    this.#ofLayer = undefined;
    try {
      const made = make();
      this.#shared.set(key, made);
      return made;
    } finally {
      this.#ofLayer = ofLayer;
    }
  }

  rotation({ cos, sin, pairs, pairing }: Rotation): DeviceRotation {
    const tables = this.share('rotation', () => {
      if (this.#inputs !== undefined) return this.#inputs.rotation();
      const upload = (table: Float32Array) =>
        this.keep(this.device.tensor(table, [table.length / pairs, pairs], 'f32'));
      return { cos: upload(cos), sin: upload(sin) };
    });
    // The indexer has other pairs of the same angles.
    return {
      cos: tables.cos,
      sin: tables.sin,
      pairs: pairing === 'halves' ? 'half' : 'interleaved',
    };
  }

  /** Where the cache keeps the step's tokens; `slotOf` gives that of a position. */
  slots(
    sequences: readonly Sequence[],
    slotOf: (sequence: Sequence, position: number) => number,
  ): Tensor<'i32'> {
    return this.share('slots', () => this.#inputs?.slots ?? this.#slotsOf(sequences, slotOf));
  }

  /** Where the caches of index keys keep them. */
  indexSlots(sequences: readonly Sequence[], pageSize: number): Tensor<'i32'> {
    return this.share('index slots', () =>
      this.#slotsOf(sequences, ({ pages, indexPages = pages }, position) =>
        slotIn(indexPages, position, pageSize),
      ),
    );
  }

  #slotsOf(
    sequences: readonly Sequence[],
    slotOf: (sequence: Sequence, position: number) => number,
  ): Tensor<'i32'> {
    const slots: number[] = [];
    for (const sequence of sequences) {
      const { start, count, row } = sequence;
      for (let i = 0; i < count; i++) slots[row + i] = slotOf(sequence, start + i);
    }
    return this.integers(Int32Array.from(slots));
  }
}

/** The row of a cache that a position has in these pages. */
export function slotIn(pages: ArrayLike<number>, position: number, pageSize: number): number {
  return (pages[Math.floor(position / pageSize)] ?? 0) * pageSize + (position % pageSize);
}
