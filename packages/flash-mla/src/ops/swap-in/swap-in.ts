import { dtypeSize, InvalidArgumentError } from '@flash-mla/core';
import {
  checkExtent,
  checkInteger,
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
  takeContiguous,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import {
  defaultBlockSize,
  entriesPerThread,
  maxBlockSize,
  maxBufferSize,
  type SwapInCacheDType,
  swapInCacheDTypes,
} from './limits.ts';
import { swapInOperation } from './operation.ts';

/** Arguments of {@link swapIn}. K: `topK`'s columns; H: those of `slotTokens`; P: the caches' page size. */
export interface SwapInOptions {
  /** (requests, K): positions that a query attends to; what is no position of its sequence is none. */
  readonly topK: Tensor<'i32'>;
  /** (requests): tokens of each sequence, the newest included. */
  readonly seqLens: Tensor<'i32'> | Tensor<'i64'>;
  /** (requests): the row of each request in the tables below; one that is none, such as −1, pads the batch. */
  readonly rows: Tensor<'i32'> | Tensor<'i64'>;
  /** (rows, pages of the longest sequence): where the tokens of a sequence are in `hostCache`. */
  readonly hostPages: Tensor<'i32'>;
  /** (rows, H / P + 1): where the slots of a hot buffer are in `deviceCache`. */
  readonly bufferPages: Tensor<'i32'>;
  /** (rows, H): the token in each slot, −1 for none. Read and written. */
  readonly slotTokens: Tensor<'i32'>;
  /** (rows, 2 · H): the bytes of int16, all slots from the least recently used on. Read and written. */
  readonly lruOrder: Tensor<'u8'>;
  /** (pages, P, 1, columns): all rows; a row has a multiple of 16 bytes. */
  readonly hostCache: Tensor<SwapInCacheDType>;
  /** (pages, P, 1, columns): the hot buffers. Written. */
  readonly deviceCache: Tensor<SwapInCacheDType>;
  /** Threads that serve a request: a multiple of 32 up to 1024, at least K / 64. Default 512. */
  readonly blockSize?: number | null | undefined;
  /** (requests, K) to write `locations` to. Default: a new tensor; so for all that follow. */
  readonly locations?: Tensor<'i32'> | null | undefined;
  readonly plannedHostRows?: Tensor<'i32'> | null | undefined;
  readonly plannedDeviceRows?: Tensor<'i32'> | null | undefined;
  readonly missCounts?: Tensor<'i32'> | null | undefined;
}

/** Results of {@link swapIn}. Layers that share its top-k replay the plan with {@link copyRows}. */
export interface SwappedIn {
  /** (requests, K): where each entry of the top-k is in `deviceCache`, page · P + place; −1 for none. */
  readonly locations: Tensor<'i32'>;
  /** (requests, K): rows of `hostCache` that were copied; −1 where there was none to copy. */
  readonly plannedHostRows: Tensor<'i32'>;
  /** (requests, K): where to. */
  readonly plannedDeviceRows: Tensor<'i32'>;
  /** (requests): leading elements of the two above that are valid. */
  readonly missCounts: Tensor<'i32'>;
}

const known = optionNames<keyof SwapInOptions>(
  ...(['topK', 'seqLens', 'rows', 'hostPages', 'bufferPages', 'slotTokens', 'lruOrder'] as const),
  ...(['hostCache', 'deviceCache', 'blockSize', 'locations', 'plannedHostRows'] as const),
  ...(['plannedDeviceRows', 'missCounts'] as const),
);

/**
 * Brings the K/V rows that queries attend to into the hot buffers of their requests, as HiSparse does in
 * each layer of a decode step: a buffer keeps H rows of a sequence whose K/V is all in `hostCache`, and
 * what is missing takes the place of what was not used for longest. Sequences of at most H tokens are in
 * their buffers whole. The newest token is in slot H, or in that of its position, and is not copied.
 *
 * `swapIn` of `flash-mla/reference` defines it. Rows and pages that are none are skipped. Only enqueues,
 * and may be recorded by `device.capture`: all that changes from step to step is in tensors.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function swapIn(options: SwapInOptions): SwappedIn {
  const given = readOptions(options, known);
  const { topK, hostPages, bufferPages, slotTokens, lruOrder, hostCache, deviceCache } = given;
  checkMatrix('topK', topK, 2, ['i32']);
  checkNotEmpty('topK', topK, 1);
  const { device } = topK;
  const [requests = 0, k = 0] = topK.shape;
  const seqLens = checkIntegers('seqLens', given.seqLens, device, requests);
  const rows = checkIntegers('rows', given.rows, device, requests);

  checkMatrix('hostCache', hostCache, 4, swapInCacheDTypes, device);
  checkMatrix('deviceCache', deviceCache, 4, [hostCache.dtype], device);
  const [, pageSize = 0, , columns = 0] = hostCache.shape;
  for (const [name, cache] of Object.entries({ hostCache, deviceCache })) {
    checkShape(name, cache, [cache.shape[0] ?? 0, pageSize, 1, columns], '(pages, P, 1, columns)');
    checkNotEmpty(name, cache);
    if ((cache.shape[0] ?? 0) * pageSize > maxExtent)
      throw new InvalidArgumentError(name, `at most ${maxExtent} rows`, shapeText(cache));
  }
  const rowBytes = columns * dtypeSize(hostCache.dtype);
  if (rowBytes % 16 !== 0)
    throw new InvalidArgumentError('hostCache', 'rows of a multiple of 16 bytes', `${rowBytes}`);

  checkMatrix('slotTokens', slotTokens, 2, ['i32'], device);
  const [numRows = 0, bufferSize = 0] = slotTokens.shape;
  checkBufferSize(slotTokens, k, bufferSize, pageSize);
  checkMatrix('lruOrder', lruOrder, 2, ['u8'], device);
  checkShape('lruOrder', lruOrder, [numRows, 2 * bufferSize], '(rows, 2 · H)');
  checkMatrix('bufferPages', bufferPages, 2, ['i32'], device);
  checkShape('bufferPages', bufferPages, [numRows, bufferSize / pageSize + 1], '(rows, H / P + 1)');
  checkMatrix('hostPages', hostPages, 2, ['i32'], device);
  checkExtent('hostPages', hostPages, 0, numRows, 'rows');
  checkNotEmpty('hostPages', hostPages, 1);

  const read = { topK, seqLens, rows, hostPages, bufferPages, hostCache };
  const state = { slotTokens, lruOrder, deviceCache };
  for (const [name, tensor] of Object.entries({ ...read, ...state })) checkContiguous(name, tensor);
  const blockSize = checkBlockSize(given.blockSize ?? defaultBlockSize, k);

  const owned: Tensor[] = [];
  try {
    const take = (name: keyof SwappedIn, shape: readonly number[]) =>
      takeContiguous(name, given[name], shape, 'i32', device, owned);
    const results: SwappedIn = {
      locations: take('locations', [requests, k]),
      plannedHostRows: take('plannedHostRows', [requests, k]),
      plannedDeviceRows: take('plannedDeviceRows', [requests, k]),
      missCounts: take('missCounts', [requests]),
    };
    const written = Object.entries({ ...state, ...results });
    for (const [i, [name, tensor]] of written.entries())
      checkApart(name, tensor, { ...read, ...Object.fromEntries(written.slice(0, i)) });
    if (requests > 0) {
      const tensors = { ...read, ...state, ...results };
      device.backend.run(swapInOperation, { ...tensors, blockSize });
    }
    return results;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}

function checkIntegers(name: string, given: unknown, device: Tensor['device'], requests: number) {
  const dtype = (given as Tensor | null | undefined)?.dtype === 'i64' ? 'i64' : 'i32';
  checkMatrix(name, given, 1, [dtype], device);
  checkVector(name, given, dtype, device, requests, 'requests');
  return given;
}

function checkBufferSize(tensor: Tensor, k: number, bufferSize: number, pageSize: number): void {
  if (bufferSize >= k && bufferSize <= maxBufferSize && bufferSize % pageSize === 0) return;
  const expected = `(rows, H) with H a multiple of the page size ${pageSize} from K = ${k} to ${maxBufferSize}`;
  throw new InvalidArgumentError('slotTokens', expected, shapeText(tensor));
}

function checkBlockSize(value: unknown, k: number): number {
  const least = Math.max(32, Math.ceil(k / entriesPerThread));
  const blockSize = checkInteger('blockSize', value, least, maxBlockSize);
  if (blockSize % 32 === 0) return blockSize;
  throw new InvalidArgumentError('blockSize', 'a multiple of 32', `${blockSize}`);
}
