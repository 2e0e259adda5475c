import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkExtent,
  checkFlag,
  checkInteger,
  checkNotEmpty,
  optionNames,
  readOptions,
  shapeText,
} from '../../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkContiguous,
  checkMatrix,
  checkShape,
  takeOutput,
  viewOf,
} from '../../../runtime/operation/tensors.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { indexDim } from '../limits.ts';
import { mqaLogitsOperation } from '../operations.ts';
import { checkAligned, checkIndexCache, checkIndexHeads } from './check-heads.ts';

/** Arguments of {@link fp8PagedMqaLogits}. */
export interface Fp8PagedMqaLogitsOptions {
  /** (b, sQ, heads, 128), contiguous, 1 to 64 heads. `b` may be 0. */
  readonly q: Tensor<'e4m3'>;
  /** (b, sQ, heads), contiguous. */
  readonly weights: Tensor<'f32'>;
  /** (pages, P, 1, 132), contiguous, P a multiple of 16. */
  readonly kvCache: Tensor<'u8'>;
  /** (b, width): the pages of each request; one that is none has no keys. */
  readonly blockTable: Tensor<'i32'>;
  /** (b, sQ): how many tokens each query sees, in a prefill its position + 1. */
  readonly contextLens: Tensor<'i32'>;
  /** Columns of the result. Tokens beyond them are not looked at. */
  readonly maxContextLen: number;
  /** Puts −∞ where a query has no key; else such columns are left as they are. Default true. */
  readonly cleanLogits?: boolean | null | undefined;
  /** (b · sQ, maxContextLen) to write to; rows may be apart. Default: a new tensor. */
  readonly out?: Tensor<'f32'> | null | undefined;
}

const known = optionNames<keyof Fp8PagedMqaLogitsOptions>(
  ...(['q', 'weights', 'kvCache', 'blockTable', 'contextLens', 'maxContextLen'] as const),
  ...(['cleanLogits', 'out'] as const),
);

/**
 * How much each query wants each token of its request, f32 (b · sQ, maxContextLen):
 * `scale(key) · Σ over heads of weight · max(0, q · key)`. Decoding has an sQ of 1; a prefill has its
 * queries in `sQ`, and `contextLens` makes it causal. Only enqueues, and may be recorded by
 * `device.capture`.
 *
 * Source: the lightning indexer of DeepSeek V3.2; name and shapes are those of DeepGEMM's
 * `fp8_paged_mqa_logits`, without its schedule.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function fp8PagedMqaLogits(options: Fp8PagedMqaLogitsOptions): Tensor<'f32'> {
  const given = readOptions(options, known);
  const { q, weights, kvCache, blockTable, contextLens } = given;
  checkMatrix('q', q, 4, ['e4m3']);
  const { device } = q;
  const [requests = 0, sQ = 0, heads = 0] = q.shape;
  checkNotEmpty('q', q, 1);
  checkIndexHeads('q', q);
  checkExtent('q', q, 3, indexDim, 'dimensions of an index query');
  checkContiguous('q', q);
  checkAligned('q', q);
  checkMatrix('weights', weights, 3, ['f32'], device);
  checkShape('weights', weights, [requests, sQ, heads], '(b, sQ, heads)');
  checkContiguous('weights', weights);
  checkIndexCache('kvCache', kvCache, device);
  checkMatrix('blockTable', blockTable, 2, ['i32'], device);
  checkExtent('blockTable', blockTable, 0, requests, 'requests');
  checkMatrix('contextLens', contextLens, 2, ['i32'], device);
  checkShape('contextLens', contextLens, [requests, sQ], '(b, sQ)');
  checkContiguous('contextLens', contextLens);
  const columns = checkInteger('maxContextLen', given.maxContextLen, 1, 2 ** 30);
  const most = (blockTable.shape[1] ?? 0) * (kvCache.shape[1] ?? 0);
  if (columns > most) {
    const expected = `pages for maxContextLen = ${columns} tokens`;
    throw new InvalidArgumentError('blockTable.shape[1]', expected, shapeText(blockTable));
  }
  const cleanLogits = checkFlag('cleanLogits', given.cleanLogits, true);
  const rows = requests * sQ;
  const owned: Tensor[] = [];
  try {
    const logits = takeOutput('out', given.out, [rows, columns], 'f32', device, owned);
    checkApart('out', logits, { q, weights, kvCache, blockTable, contextLens });
    if (rows > 0) {
      device.backend.run(mqaLogitsOperation, {
        q: viewOf(q, [rows, heads, indexDim], [heads * indexDim, indexDim, 1]),
        weights: viewOf(weights, [rows, heads], [heads, 1]),
        keys: { kind: 'paged', cache: kvCache, blockTable },
        ...{ queriesPerRequest: sQ, ends: viewOf(contextLens, [rows], [1]), cleanLogits, logits },
      });
    }
    return logits;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}
