import { dtypeSize, type HostTensor, storageFromBytes } from '@flash-mla/core';
import { normalCodes, type Random } from './random.ts';

/** Normal values as codes of a dtype. */
export function drawNormals<D extends 'f32' | 'f16' | 'bf16' | 'e4m3'>(
  random: Random,
  dtype: D,
  shape: readonly number[],
  deviation: number,
): HostTensor<D> {
  const count = shape.reduce((product, n) => product * n, 1);
  const data = storageFromBytes(dtype, new Uint8Array(count * dtypeSize(dtype)));
  const codes = normalCodes(dtype, deviation);
  random.fill(data as Uint16Array, 0, count, codes as Uint16Array);
  return { dtype, shape, data };
}
