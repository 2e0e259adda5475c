/** The operations of attention, as values: kernels of every device are registered for these. */

import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';
import { decodeChecks, denseAttentionChecks } from './checks.ts';
import type {
  DenseAttentionArgs,
  DenseDecodeArgs,
  SparseCache,
  SparseDecodeArgs,
  SparsePrefillArgs,
} from './contract.ts';
import type { ComputeScheduleArgs, DecodeShape, SchedulePlan } from './schedule-contract.ts';

/** Tile-scheduler metadata and splits for the lengths of a batch. */
export const computeSchedule = defineOperation<ComputeScheduleArgs>({
  name: 'computeSchedule',
  reads: ({ seqlens, topkLength, extraTopkLength }) => [seqlens, topkLength, extraTopkLength],
  writes: ({ metadata, numSplits }) => [metadata, numSplits],
});

/** Dense MLA decoding over a paged cache. Traits: how the kernel wants the work to be cut. */
export const denseDecode = defineOperation<DenseDecodeArgs, DecodeShape, SchedulePlan>({
  name: 'denseDecode',
  reads: (args) => [
    args.q,
    args.kCache,
    args.blockTable,
    args.seqlens,
    args.descaleQ,
    args.descaleK,
    args.schedule.metadata,
    args.schedule.numSplits,
  ],
  writes: ({ out, lse }) => [out, lse],
  checks: decodeChecks,
});

/** Token-sparse MLA decoding. Traits: how the kernel wants the work to be cut. */
export const sparseDecode = defineOperation<SparseDecodeArgs, DecodeShape, SchedulePlan>({
  name: 'sparseDecode',
  reads: ({ q, main, extra, attnSink, schedule }) => [
    q,
    ...cacheReads(main),
    ...(extra ? cacheReads(extra) : []),
    attnSink,
    schedule.metadata,
    schedule.numSplits,
  ],
  writes: ({ out, lse }) => [out, lse],
  checks: decodeChecks,
});

/** Token-sparse attention over an unpaged KV. */
export const sparsePrefill = defineOperation<SparsePrefillArgs>({
  name: 'sparsePrefill',
  reads: ({ q, kv, indices, topkLength, attnSink }) => [q, kv, indices, topkLength, attnSink],
  writes: ({ out, maxLogits, lse }) => [out, maxLogits, lse],
});

/** Dense MHA and GQA over packed sequences or a cache. */
export const denseAttention = defineOperation<DenseAttentionArgs>({
  name: 'denseAttention',
  reads: (args) => [
    args.q,
    args.k,
    args.v,
    args.cuSeqlensQ,
    args.cuSeqlensK,
    args.seqlensK,
    args.blockTable,
  ],
  writes: ({ out, lse }) => [out, lse],
  checks: denseAttentionChecks,
});

function cacheReads({ kCache, indices, topkLength }: SparseCache): (TensorView | undefined)[] {
  return [kCache, indices, topkLength];
}
