import { type DType, dtypeSize, InvalidArgumentError } from '@flash-mla/core';
import { Tensor, type TensorHost } from '../tensor/tensor.ts';
import { checkOperand, shapeText } from './arguments.ts';

/**
 * The outputs of one call. {@link take} hands out the caller's own tensor after checking it, or a new
 * one; {@link release} frees the new ones when the call fails, so that a bad call leaves nothing behind.
 */
export class Outputs {
  readonly #device: TensorHost;
  readonly #owned: Tensor[] = [];

  constructor(device: TensorHost) {
    this.#device = device;
  }

  /** Throws {@link InvalidArgumentError} for an unfit `given`, {@link OutOfMemoryError}. */
  take<D extends DType>(name: string, given: unknown, shape: number[], dtype: D): Tensor<D> {
    if (given !== undefined && given !== null) {
      checkOutput(name, given, shape, dtype, this.#device);
      return given as Tensor<D>;
    }
    const tensor = Tensor.allocate(this.#device, shape, dtype);
    this.#owned.push(tensor);
    return tensor;
  }

  release(): void {
    for (const tensor of this.#owned) tensor.dispose();
  }
}

/** Kernels write rows of 16-bit elements in vectors of this many bytes. */
const alignment = 16;

/** A caller's output: the exact shape and dtype, contiguous, rows of 16-bit elements aligned. */
export function checkOutput(
  name: string,
  given: unknown,
  shape: readonly number[],
  dtype: DType,
  device: TensorHost,
): asserts given is Tensor {
  checkOperand(name, given, shape.length, dtype, device);
  for (let i = 0; i < shape.length; i++) {
    if (given.shape[i] !== shape[i]) {
      throw new InvalidArgumentError(name, `shape (${shape.join(', ')})`, shapeText(given));
    }
  }
  if (dtypeSize(dtype) === 2 && given.byteOffset % alignment !== 0) {
    throw new InvalidArgumentError(
      name,
      `a tensor that begins at a multiple of ${alignment} bytes of its memory`,
      `one that begins at byte ${given.byteOffset}`,
    );
  }
  if (!given.isContiguous) {
    throw new InvalidArgumentError(
      name,
      'a contiguous tensor',
      `strides (${given.strides.join(', ')})`,
    );
  }
}
