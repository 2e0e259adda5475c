import type { GoldenCase } from './case.ts';
import { load, plane } from './tensor_copy.ts';

const family = 'tensor_strides';

/** Boxes of tensors with all the strides that a map can have. */
export function tensorStrideCases(): GoldenCase[] {
  return [
    load(
      'five dimensions',
      {
        element: 'u8',
        dims: [48, 7, 5, 3, 4],
        strides: [48, 336, 2048, 8192],
        box: [32, 3, 2, 2, 2],
      },
      [32, 5, -1, 2, 1],
      family,
    ),
    load('element strides', { ...plane, elementStrides: [1, 3] }, [4, 50], family),
    load('element strides, rest', { ...plane, elementStrides: [1, 5] }, [4, 20], family),
  ];
}
