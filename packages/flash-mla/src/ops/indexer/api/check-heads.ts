import { InvalidArgumentError } from '@flash-mla/core';
import { checkExtent, shapeText } from '../../../runtime/operation/arguments.ts';
import { checkContiguous, checkMatrix, maxExtent } from '../../../runtime/operation/tensors.ts';
import type { Tensor, TensorHost } from '../../../runtime/tensor/tensor.ts';
import { indexPageUnit, indexTokenBytes, maxIndexHeads } from '../limits.ts';

/** Heads are the dimension before the last. */
export function checkIndexHeads(name: string, tensor: Tensor): void {
  const dimension = tensor.shape.length - 2;
  const heads = tensor.shape[dimension] ?? 0;
  if (heads >= 1 && heads <= maxIndexHeads) return;
  const subject = `${name}.shape[${dimension}]`;
  throw new InvalidArgumentError(subject, `1 to ${maxIndexHeads} heads`, shapeText(tensor));
}

/** Checks an index cache; gives the tokens of a page. */
export function checkIndexCache(
  name: string,
  cache: unknown,
  device?: TensorHost,
): asserts cache is Tensor<'u8'> {
  checkMatrix(name, cache, 4, ['u8'], device);
  const pageSize = cache.shape[1] ?? 0;
  if (pageSize < indexPageUnit || pageSize % indexPageUnit !== 0) {
    const expected = `a multiple of ${indexPageUnit} tokens a page`;
    throw new InvalidArgumentError(`${name}.shape[1]`, expected, shapeText(cache));
  }
  checkExtent(name, cache, 2, 1, 'heads of keys');
  checkExtent(name, cache, 3, indexTokenBytes, 'bytes of a token');
  if ((cache.shape[0] ?? 0) * pageSize > maxExtent) {
    throw new InvalidArgumentError(name, `at most ${maxExtent} tokens`, shapeText(cache));
  }
  checkContiguous(name, cache);
  checkAligned(name, cache);
}

/** Kernels load 16 bytes at a time: rows must begin at multiples of it. */
export function checkAligned(name: string, tensor: Tensor): void {
  if (tensor.byteOffset % 16 === 0) return;
  const actual = `byte ${tensor.byteOffset} of its memory`;
  throw new InvalidArgumentError(name, 'a tensor that begins at a multiple of 16 bytes', actual);
}
