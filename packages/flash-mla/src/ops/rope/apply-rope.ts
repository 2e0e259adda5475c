import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkDisjoint,
  checkExtent,
  checkNotEmpty,
  checkVector,
  optionNames,
  readOptions,
  shapeText,
} from '../../runtime/operation/arguments.ts';
import { isSame } from '../../runtime/operation/same.ts';
import {
  checkApart,
  checkChoice,
  checkMatrix,
  checkShape,
} from '../../runtime/operation/tensors.ts';
import type { Tensor, TensorHost } from '../../runtime/tensor/tensor.ts';
import { maxRopeDim } from './limits.ts';
import { ropeOperation } from './operation.ts';

/**
 * Which columns rotate together: neighbours (`interleaved`, the main attention of DeepSeek's models), or
 * column i and column i + dim / 2 (`half`, MiniCPM3 and the indexer of V3.2).
 */
export type RopePairs = 'interleaved' | 'half';

/** Arguments of {@link applyRope}. */
export interface ApplyRopeOptions<D extends 'bf16' | 'f32' = 'bf16' | 'f32'> {
  /** (rows, heads, dim), dim even and at most 512; any outer strides. `rows` may be 0. */
  readonly x: Tensor<D>;
  /** (positions, dim / 2), contiguous: cosines of the angles, and their sines. */
  readonly cos: Tensor<'f32'>;
  readonly sin: Tensor<'f32'>;
  /**
   * (rows): the row of the tables for each row of `x`. A row whose position is not in the tables stays as
   * it is. Default: row i has position i.
   */
  readonly positions?: Tensor<'i32'> | null | undefined;
  readonly pairs: RopePairs;
  /** (rows, heads, dim) to write to; any outer strides. Default: `x`, in place. */
  readonly out?: Tensor<'bf16' | 'f32'> | null | undefined;
}

const known = optionNames<keyof ApplyRopeOptions>(
  ...(['x', 'cos', 'sin', 'positions', 'pairs', 'out'] as const),
);
const dtypes = ['bf16', 'f32'] as const;

/**
 * Rotates pairs of columns (a, b) to (a · cos − b · sin, a · sin + b · cos), in float32, rounded once.
 * Columns keep their places. Returns `out`. Only enqueues, and may be recorded by `device.capture`:
 * positions may change between replays.
 *
 * Source: Su et al., "RoFormer".
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function applyRope<D extends 'bf16' | 'f32'>(
  options: ApplyRopeOptions<D>,
): Tensor<'bf16' | 'f32'> {
  const given = readOptions(options, known);
  const x: Tensor = given.x;
  checkMatrix('x', x, 3, dtypes);
  checkNotEmpty('x', x, 1);
  const { device } = x;
  const [rows = 0, , dim = 0] = x.shape;
  if (dim % 2 !== 0 || dim > maxRopeDim) {
    const expected = `an even number of at most ${maxRopeDim}`;
    throw new InvalidArgumentError('x.shape[2]', expected, shapeText(x));
  }
  const { cos, sin } = given;
  checkTable('cos', cos, dim / 2, device);
  checkTable('sin', sin, dim / 2, device);
  checkExtent('sin', sin, 0, cos.shape[0] as number, 'positions of cos');
  const positions = given.positions ?? undefined;
  if (positions !== undefined) {
    checkVector('positions', positions, 'i32', device, rows, 'rows');
  } else if ((cos.shape[0] as number) < rows) {
    throw new InvalidArgumentError('cos.shape[0]', `at least ${rows} positions`, shapeText(cos));
  }
  const pairs = checkChoice<RopePairs | 'none'>(
    'pairs',
    given.pairs,
    ['interleaved', 'half'],
    'none',
  );
  if (pairs === 'none') throw new InvalidArgumentError('pairs', `'interleaved' or 'half'`, 'none');
  const out: Tensor = given.out ?? given.x;
  checkMatrix('out', out, 3, dtypes, device);
  checkShape('out', out, x.shape, 'of x');
  checkDisjoint('out', out);
  checkApart('out', out, { cos, sin, positions, ...(!isSame(x, out) && { x }) });
  if (rows > 0) {
    const interleaved = pairs === 'interleaved';
    device.backend.run(ropeOperation, { x, cos, sin, positions, interleaved, out });
  }
  return out;
}

function checkTable(
  name: string,
  table: unknown,
  width: number,
  device: TensorHost,
): asserts table is Tensor<'f32'> {
  checkMatrix(name, table, 2, ['f32'], device);
  checkNotEmpty(name, table);
  checkExtent(name, table, 1, width, 'dim / 2');
  if (!table.isContiguous) {
    const strides = `strides (${table.strides.join(', ')})`;
    throw new InvalidArgumentError(name, 'a contiguous tensor', strides);
  }
}
