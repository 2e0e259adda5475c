import { type DType, type HostTensor, numElements, type StorageOf } from '@flash-mla/core';
import type { Device } from '../../runtime/device/device.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import type { AnswerName } from './problem.ts';
import { poison, Uploads } from './upload.ts';
import type { Lengths, LengthValues, Operation, PlacementRule, Variant } from './variant.ts';

/** Uploads the tensors of an operation the way a variant asks for, and keeps what it gives back. */
export class Inputs {
  readonly uploads: Uploads;
  readonly variant: Variant;
  readonly #lengths: Lengths[] = [];
  readonly #results: Partial<Record<AnswerName, Tensor>> = {};
  readonly #gap: number;
  #reset = () => {};

  constructor(device: Device, variant: Variant) {
    this.uploads = new Uploads(device);
    this.variant = variant;
    this.#gap = variant.gap ?? 0;
  }

  put<D extends DType>(name: string, host: HostTensor<D>, rule: PlacementRule = 'any'): Tensor<D> {
    const { placement } = this.variant;
    if (placement) return this.uploads.putPlaced(name, host, placement(name, host, rule));
    if (this.#gap === 0 || rule === 'contiguous') return this.uploads.put(host);
    return this.uploads.putStrided(host, this.#gap, rule === 'together');
  }

  /** A tensor that has no gaps, however inputs are placed. */
  putVector<D extends DType>(name: string, host: HostTensor<D>): Tensor<D> {
    return this.put(name, host, 'contiguous');
  }

  putLengths<D extends 'i32' | 'i64'>(name: string, host: HostTensor<D>): Tensor<D> {
    const tensor = this.putVector(name, host);
    const write = (values: LengthValues) => this.uploads.rewrite(tensor, values as StorageOf<D>);
    this.#lengths.push({ name, values: host.data as LengthValues, write });
    return tensor;
  }

  /** A multiple of 16 keeps packed rows aligned as the API asks for. */
  putCache(name: string, layout: 'v32' | 'model1' | 'bf16', host: HostTensor): Tensor {
    if (layout === 'bf16') return this.put(name, host);
    if (this.variant.placement) return this.put(name, host, layout);
    return this.uploads.putPacked(layout, host as HostTensor<'u8'>, this.#gap * 16);
  }

  /** A tensor that the operation writes to and does not fill. */
  putWritable(name: AnswerName, rule: PlacementRule, host: HostTensor): Tensor {
    const { placement } = this.variant;
    const layout = rule === 'v32' || rule === 'model1' ? rule : 'bf16';
    const tensor = placement
      ? this.uploads.putPlaced(name, host, placement(name, host, rule), true)
      : this.putCache(name, layout, host);
    this.#results[name] = tensor;
    return tensor;
  }

  /**
   * An output full of poison to write to; undefined where the operation allocates its own, which then
   * is likely to get memory full of poison.
   */
  output<D extends DType>(name: AnswerName, shape: readonly number[], dtype: D) {
    const host: HostTensor<D> = { dtype, shape, data: poison(dtype, numElements(shape)) };
    const rule = dtype === 'f32' ? 'contiguous' : 'aligned';
    return this.givenOutput(name, host, rule, (tensor) => this.uploads.put(tensor));
  }

  /** {@link output} with contents and a rule of its own. */
  givenOutput<D extends DType>(
    name: AnswerName,
    host: HostTensor<D>,
    rule: PlacementRule,
    put: (host: HostTensor<D>) => Tensor<D>,
  ): Tensor<D> | undefined {
    const { placement, outputs } = this.variant;
    if (outputs === 'new') {
      this.uploads.device.tensor(host.data, host.shape, host.dtype).dispose();
      return undefined;
    }
    const tensor = placement
      ? this.uploads.putPlaced(name, host, placement(name, host, rule), true)
      : put(host);
    this.#results[name] = tensor;
    return tensor;
  }

  /** Remembers what a call gave back; what it allocated is freed with the rest. */
  keep(results: Operation['results']): void {
    for (const [name, tensor] of Object.entries(results) as [AnswerName, Tensor][]) {
      if (this.#results[name] === tensor) continue;
      this.#results[name] = this.uploads.own(tensor);
    }
  }

  /** What is to be done where lengths have changed: {@link Operation.reset}. */
  onReset(reset: () => void): void {
    this.#reset = reset;
  }

  operation(enqueue: () => void): Operation {
    return {
      enqueue,
      results: this.#results,
      lengths: this.#lengths,
      reset: () => this.#reset(),
      changes: () => this.uploads.changes(),
      dispose: () => this.uploads.dispose(),
    };
  }
}

/** Fills results with poison again, from the first element of each to the last one, however they lie. */
export function poisonResults(results: Operation['results']): void {
  for (const tensor of Object.values(results)) {
    if (tensor.size === 0) continue;
    const { dtype, shape, strides } = tensor;
    const span = shape.reduce((sum, n, d) => sum + (n - 1) * (strides[d] ?? 0), 1);
    tensor.asStrided([span], [1]).write(poison(dtype, span));
  }
}
