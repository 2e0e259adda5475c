import { checkExtent, checkNotEmpty, checkVector } from '../../../runtime/operation/arguments.ts';
import { checkChoice, checkContiguous, checkMatrix } from '../../../runtime/operation/tensors.ts';
import type { Tensor, TensorHost } from '../../../runtime/tensor/tensor.ts';
import type { RopePairs } from '../../rope/index.ts';
import { indexRopeDim } from '../limits.ts';

/** How index queries and keys are rotated: the same for both, and for all of a cache. */
export interface IndexRotation {
  /** (positions, 32), contiguous: cosines of the angles, and their sines. */
  readonly cos: Tensor<'f32'>;
  readonly sin: Tensor<'f32'>;
  /** (rows): the row of the tables for each row. A row whose position is not in the tables is not rotated. */
  readonly positions: Tensor<'i32'>;
  /** `half`: DeepSeek V3.2, column i with column i + 32. `interleaved`: GLM-5, neighbours. */
  readonly pairs: RopePairs;
  /** Multiplies rows by the orthonormal Hadamard matrix after the rotation; default true. */
  readonly hadamard?: boolean | null | undefined;
}

/** Checks tables and positions for `rows` rows; gives whether pairs are neighbours. */
export function checkRotation(
  { cos, sin, positions, pairs }: IndexRotation,
  rows: number,
  device: TensorHost,
): boolean {
  for (const [name, table] of Object.entries({ cos, sin })) {
    checkMatrix(name, table, 2, ['f32'], device);
    checkNotEmpty(name, table);
    checkExtent(name, table, 1, indexRopeDim / 2, 'rotated pairs');
    checkContiguous(name, table);
  }
  checkExtent('sin', sin, 0, cos.shape[0] as number, 'positions of cos');
  checkVector('positions', positions, 'i32', device, rows, 'rows');
  const choice = pairs as RopePairs | undefined | null;
  return checkChoice('pairs', choice ?? 'none', ['half', 'interleaved'], 'half') === 'interleaved';
}
