import { dtypeSize, InvalidArgumentError } from '@flash-mla/core';
import {
  checkNotEmpty,
  checkVector,
  optionNames,
  readOptions,
  shapeText,
} from '../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkContiguous,
  checkMatrix,
  checkShape,
  maxExtent,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { copyRowsOperation } from './copy-rows-operation.ts';
import { type SwapInCacheDType, swapInCacheDTypes } from './limits.ts';

/** Arguments of {@link copyRows}. */
export interface CopyRowsOptions {
  /** (pages, P, 1, columns): all rows; a row has a multiple of 16 bytes. */
  readonly source: Tensor<SwapInCacheDType>;
  /** (pages, P, 1, columns) of the same dtype. Written. */
  readonly target: Tensor<SwapInCacheDType>;
  /** (requests, K): rows of `source`, page · P + place. One that is none, such as −1, is skipped. */
  readonly sourceRows: Tensor<'i32'>;
  /** (requests, K): where each of them goes in `target`. */
  readonly targetRows: Tensor<'i32'>;
  /** (requests): leading elements of each request that are valid. Default: all. */
  readonly counts?: Tensor<'i32'> | null | undefined;
}

const known = optionNames<keyof CopyRowsOptions>(
  ...(['source', 'target', 'sourceRows', 'targetRows', 'counts'] as const),
);

/**
 * Copies rows of a paged cache to rows of another one, as they are. With HiSparse: layers that share the choice
 * of a layer replay its miss plan (`source` is the host's cache, `counts` its `missCounts`), and new rows go to
 * the host's cache. Returns `target`.
 *
 * A row of `target` that is named twice gets one of its rows or a mixture of them. Only enqueues, and may be
 * recorded by `device.capture`: what is copied is in tensors.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function copyRows(options: CopyRowsOptions): Tensor<SwapInCacheDType> {
  const given = readOptions(options, known);
  const { source, target, sourceRows, targetRows } = given;
  checkMatrix('source', source, 4, swapInCacheDTypes);
  const { device } = source;
  checkMatrix('target', target, 4, [source.dtype], device);
  const [, pageSize = 0, , columns = 0] = source.shape;
  for (const [name, cache] of Object.entries({ source, target })) {
    checkShape(name, cache, [cache.shape[0] ?? 0, pageSize, 1, columns], '(pages, P, 1, columns)');
    checkNotEmpty(name, cache);
    checkContiguous(name, cache);
    if ((cache.shape[0] ?? 0) * pageSize > maxExtent)
      throw new InvalidArgumentError(name, `at most ${maxExtent} rows`, shapeText(cache));
  }
  const rowBytes = columns * dtypeSize(source.dtype);
  if (rowBytes % 16 !== 0)
    throw new InvalidArgumentError('source', 'rows of a multiple of 16 bytes', `${rowBytes}`);

  checkMatrix('sourceRows', sourceRows, 2, ['i32'], device);
  const [requests = 0, most = 0] = sourceRows.shape;
  checkMatrix('targetRows', targetRows, 2, ['i32'], device);
  checkShape('targetRows', targetRows, [requests, most], '(requests, K)');
  checkContiguous('sourceRows', sourceRows);
  checkContiguous('targetRows', targetRows);
  const counts = given.counts ?? undefined;
  if (counts !== undefined) {
    checkMatrix('counts', counts, 1, ['i32'], device);
    checkVector('counts', counts, 'i32', device, requests, 'requests');
  }
  checkApart('target', target, { source, sourceRows, targetRows, counts });
  if (requests > 0 && most > 0) {
    device.backend.run(copyRowsOperation, { source, target, sourceRows, targetRows, counts });
  }
  return target;
}
