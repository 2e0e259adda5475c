/** Debug mode: what each operation's tensors of numbers must satisfy, checked on the device. */

import { InvalidArgumentError } from '../../errors.ts';
import type {
  ComputeScheduleArgs,
  DenseAttentionArgs,
  DenseDecodeArgs,
  SparseCache,
  SparseDecodeArgs,
  SparsePrefillArgs,
  TensorView,
} from '../backend.ts';

/** A condition on every element of an i32 tensor. A device reports the first that does not meet it. */
export interface Check {
  /** The argument's name, for the message. */
  readonly argument: string;
  /** i32 of rank 1 to 3; the innermost stride is 1. */
  readonly values: TensorView;
  /** Inclusive. */
  readonly low: number;
  readonly high: number;
  /** A value outside that is allowed as well, such as −1 in `indices`; equal to `low` if none. */
  readonly alsoAllowed: number;
  /** Whether an element must not be below the one before it (cumulative lengths; rank 1). */
  readonly ascending: boolean;
  /**
   * i32 (shape[0]): entry i says how much of `values[i]` counts, `ceil(clamp(count, 0, …) / unit)`
   * innermost elements, at most all. Absent: all.
   */
  readonly counts?: TensorView | undefined;
  readonly unit: number;
}

/** Lengths come first: the checks of tables use them. */
export function denseDecodeChecks({ blockTable, kCache, seqlens }: DenseDecodeArgs): Check[] {
  const [numBlocks = 0, page = 1] = kCache.shape;
  const maxTokens = (blockTable.shape[1] ?? 0) * page;
  return [
    range('cacheSeqlens', seqlens, 0, maxTokens),
    { ...range('blockTable', blockTable, 0, numBlocks - 1), counts: seqlens, unit: page },
  ];
}

export function sparseDecodeChecks({ main, extra }: SparseDecodeArgs): Check[] {
  return [
    ...sparseCacheChecks(main, 'indices', 'topkLength'),
    ...(extra ? sparseCacheChecks(extra, 'extraIndicesInKvCache', 'extraTopkLength') : []),
  ];
}

export function sparsePrefillChecks({ kv, indices, topkLength }: SparsePrefillArgs): Check[] {
  return indicesChecks('indices', indices, kv.shape[0] ?? 0, 'topkLength', topkLength);
}

export function denseAttentionChecks(args: DenseAttentionArgs): Check[] {
  const { q, k, cuSeqlensQ, cuSeqlensK, seqlensK, blockTable } = args;
  const checks: Check[] = [];
  if (cuSeqlensQ) {
    checks.push({ ...range('cuSeqlensQo', cuSeqlensQ, 0, q.shape[0] ?? 0), ascending: true });
  }
  if (cuSeqlensK) {
    checks.push({ ...range('cuSeqlensKv', cuSeqlensK, 0, k.shape[0] ?? 0), ascending: true });
  }
  if (seqlensK) {
    const [numBlocks = 0, page = 1] = k.shape;
    const blocks = blockTable ? (blockTable.shape[1] ?? 0) : 1;
    checks.push(range('cacheSeqlens', seqlensK, 0, blocks * page));
    if (blockTable) {
      const table = range('blockTable', blockTable, 0, numBlocks - 1);
      checks.push({ ...table, counts: seqlensK, unit: page });
    }
  }
  return checks;
}

export function computeScheduleChecks(args: ComputeScheduleArgs): Check[] {
  const { problem, seqlens, topkLength, extraTopkLength } = args;
  const checks: Check[] = [];
  if (seqlens) {
    checks.push(range('cacheSeqlens', seqlens, 0, problem.maxSeqLenK ?? 2 ** 31 - 1));
  }
  if (topkLength) checks.push(range('topkLength', topkLength, 0, problem.topk ?? 0));
  if (extraTopkLength) {
    checks.push(range('extraTopkLength', extraTopkLength, 0, problem.extraTopk ?? 0));
  }
  return checks;
}

/** What a report of the device means. */
export function checkFailure(check: Check, index: number, value: number): InvalidArgumentError {
  const coordinates = unravel(index, check.values.shape).join(', ');
  const also = check.alsoAllowed < check.low ? `, or ${check.alsoAllowed}` : '';
  const order = check.ascending ? ', not below the entry before it' : '';
  return new InvalidArgumentError(
    `${check.argument}[${coordinates}]`,
    `${check.low} to ${check.high}${also}${order}`,
    String(value),
    'Found on the device in debug mode; the results of that call are undefined.',
  );
}

function sparseCacheChecks(cache: SparseCache, indices: string, lengths: string): Check[] {
  const [numBlocks = 0, page = 1] = cache.kCache.shape;
  return indicesChecks(indices, cache.indices, numBlocks * page, lengths, cache.topkLength);
}

/**
 * Whatever lies outside the cache is skipped, and −1 is how to say so on purpose; anything else
 * outside is taken for a mistake. Prefill's lengths count per query, like its indices.
 */
function indicesChecks(
  name: string,
  indices: TensorView,
  tokens: number,
  lengthsName: string,
  lengths: TensorView | undefined,
): Check[] {
  const topk = indices.shape[2] ?? 0;
  const check = { ...range(name, indices, 0, tokens - 1), alsoAllowed: -1 };
  if (lengths === undefined) return [check];
  return [range(lengthsName, lengths, 0, topk), { ...check, counts: lengths }];
}

function range(argument: string, values: TensorView, low: number, high: number): Check {
  return { argument, values, low, high, alsoAllowed: low, ascending: false, unit: 1 };
}

function unravel(index: number, shape: readonly number[]): number[] {
  const coordinates: number[] = [];
  let rest = index;
  for (let d = shape.length - 1; d >= 0; d--) {
    const extent = Math.max(1, shape[d] ?? 1);
    coordinates.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return coordinates;
}
