import type { Tensor } from '../tensor/tensor.ts';

/** Whether two tensors of one shape are the same elements. */
export function isSame(a: Tensor, b: Tensor): boolean {
  return (
    a.buffer === b.buffer &&
    a.dtype === b.dtype &&
    a.byteOffset === b.byteOffset &&
    a.strides.every((stride, i) => stride === b.strides[i] || (a.shape[i] ?? 0) < 2)
  );
}
