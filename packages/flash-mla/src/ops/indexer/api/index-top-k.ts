import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkAbsent,
  checkInteger,
  checkNotEmpty,
  checkVector,
  optionNames,
  readOptions,
  shapeText,
} from '../../../runtime/operation/arguments.ts';
import { checkApart, checkMatrix, takeContiguous } from '../../../runtime/operation/tensors.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { maxTopK } from '../limits.ts';
import { indexTopKOperation } from '../operations.ts';

/** Arguments of {@link indexTopK}. */
export interface IndexTopKOptions {
  /** (rows, columns), at least one column; rows may be apart. `rows` may be 0. */
  readonly logits: Tensor<'f32'>;
  /** Columns to choose in each row: 1 to 4096. */
  readonly k: number;
  /** (rows): columns before the end of a row compete. */
  readonly ends: Tensor<'i32'>;
  /** (rows): the first column of each row, from which indices count. Default 0. */
  readonly starts?: Tensor<'i32'> | null | undefined;
  /**
   * (requests, width): pages of each request, whose queries are rows that follow one another: then indices
   * are places in a cache, page · pageSize + place, as sparse attention takes them. Default: positions.
   */
  readonly blockTable?: Tensor<'i32'> | null | undefined;
  /** Tokens of a page; with a `blockTable` only. */
  readonly pageSize?: number | null | undefined;
  /** (rows, k), contiguous, to write to. Default: a new tensor. */
  readonly out?: Tensor<'i32'> | null | undefined;
}

const known = optionNames<keyof IndexTopKOptions>(
  ...(['logits', 'k', 'ends', 'starts', 'blockTable', 'pageSize', 'out'] as const),
);

/**
 * The `k` largest logits of each row, exactly: i32 (rows, k), in the order of their columns, then −1 where
 * a row has fewer. Of equal logits the lowest columns are chosen. NaN counts as −∞, and −0 as 0. An index
 * whose page is outside the table is −1. Only enqueues, and may be recorded by `device.capture`.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function indexTopK(options: IndexTopKOptions): Tensor<'i32'> {
  const given = readOptions(options, known);
  const { logits, ends } = given;
  checkMatrix('logits', logits, 2, ['f32']);
  checkNotEmpty('logits', logits, 1);
  const { device } = logits;
  const [rows = 0] = logits.shape;
  const k = checkInteger('k', given.k, 1, maxTopK);
  checkVector('ends', ends, 'i32', device, rows, 'rows');
  const starts = given.starts ?? undefined;
  if (starts) checkVector('starts', starts, 'i32', device, rows, 'rows');
  const blockTable = given.blockTable ?? undefined;
  let [pageSize, queriesPerRequest] = [0, rows];
  if (blockTable) {
    checkMatrix('blockTable', blockTable, 2, ['i32'], device);
    const requests = blockTable.shape[0] ?? 0;
    if (requests === 0 ? rows > 0 : rows % requests !== 0) {
      const expected = `a number of requests that divides the ${rows} rows`;
      throw new InvalidArgumentError('blockTable.shape[0]', expected, shapeText(blockTable));
    }
    queriesPerRequest = rows / Math.max(1, requests);
    pageSize = checkInteger('pageSize', given.pageSize, 1, 2 ** 20);
  } else checkAbsent('pageSize', given.pageSize, 'It belongs to a blockTable.');
  const owned: Tensor[] = [];
  try {
    const indices = takeContiguous('out', given.out, [rows, k], 'i32', device, owned);
    checkApart('out', indices, { logits, ends, starts, blockTable });
    if (rows > 0) {
      const args = { logits, starts, ends, blockTable, pageSize, queriesPerRequest, indices };
      device.backend.run(indexTopKOperation, args);
    }
    return indices;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}
