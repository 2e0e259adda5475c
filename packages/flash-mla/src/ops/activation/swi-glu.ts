import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkNotEmpty,
  optionNames,
  readOptions,
  shapeText,
} from '../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkChoice,
  checkMatrix,
  takeOutput,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { swiGluOperation } from './operation.ts';

/** Dtypes of rows that are computed with element by element. */
export type ElementDType = 'bf16' | 'f32';

/** Arguments of {@link swiGlu}. */
export interface SwiGluOptions<D extends ElementDType = ElementDType> {
  /** (rows, 2 · columns): the gate, then what it is multiplied with; rows may be apart. */
  readonly x: Tensor<ElementDType>;
  /** Of the result; default that of `out`, or else of `x`. */
  readonly dtype?: D | null | undefined;
  /** (rows, columns) to write to; rows may be apart. Default: a new tensor. */
  readonly out?: Tensor<D> | null | undefined;
}

const known = optionNames<keyof SwiGluOptions>('x', 'dtype', 'out');
export const elementDTypes = ['bf16', 'f32'] as const;

/**
 * `silu(x[:, :columns]) · x[:, columns:]`, where silu(g) = g / (1 + e^−g): (rows, columns). Computed in
 * float32, rounded once. Only enqueues, and may be recorded by `device.capture`.
 *
 * Source: Shazeer, "GLU Variants Improve Transformer".
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function swiGlu<D extends ElementDType = ElementDType>(
  options: SwiGluOptions<D>,
): Tensor<D> {
  const given = readOptions(options, known);
  const { x } = given;
  checkMatrix('x', x, 2, elementDTypes);
  checkNotEmpty('x', x, 1);
  const [rows = 0, both = 0] = x.shape;
  if (both % 2 !== 0) {
    throw new InvalidArgumentError('x.shape[1]', 'a gate and as many columns more', shapeText(x));
  }
  const fallback = (given.out as Tensor | null | undefined)?.dtype ?? x.dtype;
  const dtype = checkChoice('dtype', given.dtype ?? fallback, elementDTypes, x.dtype);
  const owned: Tensor[] = [];
  try {
    const out = takeOutput('out', given.out, [rows, both / 2], dtype, x.device, owned);
    checkApart('out', out, { x });
    if (rows > 0) x.device.backend.run(swiGluOperation, { x, out });
    return out as unknown as Tensor<D>;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}
