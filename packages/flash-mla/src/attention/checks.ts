/** Debug mode: what each operation's tensors of numbers must satisfy, checked on the device. */

import { type NumberCheck, range } from '../operation/number-check.ts';
import type { TensorView } from '../tensor/view.ts';
import type {
  DenseAttentionArgs,
  DenseDecodeArgs,
  SparseCache,
  SparseDecodeArgs,
  SparsePrefillArgs,
} from './contract.ts';
import type { ComputeScheduleArgs } from './schedule-contract.ts';

/** Lengths come first: the checks of tables use them. */
export function denseDecodeChecks({ blockTable, kCache, seqlens }: DenseDecodeArgs): NumberCheck[] {
  const [numBlocks = 0, page = 1] = kCache.shape;
  const maxTokens = (blockTable.shape[1] ?? 0) * page;
  return [
    range('cacheSeqlens', seqlens, 0, maxTokens),
    { ...range('blockTable', blockTable, 0, numBlocks - 1), counts: seqlens, unit: page },
  ];
}

export function sparseDecodeChecks({ main, extra }: SparseDecodeArgs): NumberCheck[] {
  return [
    ...sparseCacheChecks(main, 'indices', 'topkLength'),
    ...(extra ? sparseCacheChecks(extra, 'extraIndicesInKvCache', 'extraTopkLength') : []),
  ];
}

export function sparsePrefillChecks({ kv, indices, topkLength }: SparsePrefillArgs): NumberCheck[] {
  return indicesChecks('indices', indices, kv.shape[0] ?? 0, 'topkLength', topkLength);
}

export function denseAttentionChecks(args: DenseAttentionArgs): NumberCheck[] {
  const { q, k, cuSeqlensQ, cuSeqlensK, seqlensK, blockTable } = args;
  const checks: NumberCheck[] = [];
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

export function computeScheduleChecks(args: ComputeScheduleArgs): NumberCheck[] {
  const { problem, seqlens, topkLength, extraTopkLength } = args;
  const checks: NumberCheck[] = [];
  if (seqlens) {
    checks.push(range('cacheSeqlens', seqlens, 0, problem.maxSeqLenK ?? 2 ** 31 - 1));
  }
  if (topkLength) checks.push(range('topkLength', topkLength, 0, problem.topk ?? 0));
  if (extraTopkLength) {
    checks.push(range('extraTopkLength', extraTopkLength, 0, problem.extraTopk ?? 0));
  }
  return checks;
}

function sparseCacheChecks(cache: SparseCache, indices: string, lengths: string): NumberCheck[] {
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
): NumberCheck[] {
  const topk = indices.shape[2] ?? 0;
  const check = { ...range(name, indices, 0, tokens - 1), alsoAllowed: -1 };
  if (lengths === undefined) return [check];
  return [range(lengthsName, lengths, 0, topk), { ...check, counts: lengths }];
}
