/** From the arguments of a call to what kernel selection sees of it. */

import { extent, placementOf } from '../../../runtime/cuda/placement.ts';
import { placementOfCache } from '../../kernel-lib/cuda/placement-of-cache.ts';
import type { KvRowLayout } from '../../kernel-lib/row-layout.ts';
import type {
  DenseAttentionArgs,
  DenseDecodeArgs,
  DenseDecodeInputs,
  SparseCache,
  SparseDecodeArgs,
  SparseDecodeInputs,
  SparsePrefillArgs,
} from '../contract.ts';
import type { ComputeScheduleArgs } from '../schedule-contract.ts';
import type {
  ComputeScheduleProblem,
  DenseAttentionProblem,
  DenseDecodeProblem,
  DenseDecodeShape,
  SparseCacheProblem,
  SparseDecodeProblem,
  SparseDecodeShape,
  SparsePrefillProblem,
} from './problems.ts';

export function computeScheduleProblem(args: ComputeScheduleArgs): ComputeScheduleProblem {
  return {
    problem: args.problem,
    plan: args.plan,
    hasTopkLength: args.topkLength !== undefined,
    hasExtraTopkLength: args.extraTopkLength !== undefined,
  };
}

export function denseDecodeProblem(args: DenseDecodeArgs): DenseDecodeProblem {
  return denseDecode(
    args,
    args.out.dtype as DenseDecodeProblem['outDtype'],
    args.schedule.plan,
    args.schedule.maxSeqLenK,
  );
}

/** What is known of a problem before its schedule is planned. */
export function denseDecodeShape(args: DenseDecodeInputs): DenseDecodeShape {
  return denseDecode(args, 'bf16', unplanned, undefined);
}

const unplanned = { numParts: 0, blockTokens: 0, overheadBlocks: 0, splitBlocks: 0 };

function denseDecode(
  args: DenseDecodeInputs,
  outDtype: DenseDecodeProblem['outDtype'],
  plan: DenseDecodeProblem['plan'],
  scheduledSeqLenK: number | undefined,
): DenseDecodeProblem {
  const { q, kCache, blockTable } = args;
  return {
    outDtype,
    plan,
    scheduledSeqLenK,
    dtype: q.dtype as DenseDecodeShape['dtype'],
    batch: extent(q, 0),
    seqLenQ: extent(q, 1),
    numHeadsQ: extent(q, 2),
    numHeadsKv: extent(kCache, 2),
    headDimQk: extent(q, 3),
    headDimV: args.headDimV,
    causal: args.causal,
    softmaxScale: args.softmaxScale,
    numBlocks: extent(kCache, 0),
    pageSize: extent(kCache, 1),
    maxBlocks: extent(blockTable, 1),
    blockTableStride: extent(blockTable, 0) > 1 ? (blockTable.strides[0] ?? 0) : 0,
    hasDescaleQ: args.descaleQ !== undefined,
    hasDescaleK: args.descaleK !== undefined,
    q: placementOf(q, [0, 1, 2]),
    kCache: placementOf(kCache, [0, 1, 2]),
  };
}

export function sparseDecodeProblem(args: SparseDecodeArgs): SparseDecodeProblem {
  return sparseDecode(args, args.schedule.plan);
}

/** What is known of a problem before its schedule is planned. */
export function sparseDecodeShape(args: SparseDecodeInputs): SparseDecodeShape {
  return sparseDecode(args, unplanned);
}

function sparseDecode(
  args: SparseDecodeInputs,
  plan: SparseDecodeProblem['plan'],
): SparseDecodeProblem {
  const { q } = args;
  return {
    plan,
    layout: args.layout,
    batch: extent(q, 0),
    seqLenQ: extent(q, 1),
    numHeadsQ: extent(q, 2),
    headDimQk: extent(q, 3),
    headDimV: args.headDimV,
    softmaxScale: args.softmaxScale,
    hasAttnSink: args.attnSink !== undefined,
    q: placementOf(q, [0, 1, 2]),
    main: sparseCacheProblem(args.layout, args.main),
    extra: args.extra && sparseCacheProblem(args.layout, args.extra),
  };
}

function sparseCacheProblem(
  layout: KvRowLayout,
  { kCache, indices, topkLength }: SparseCache,
): SparseCacheProblem {
  return {
    numBlocks: extent(kCache, 0),
    pageSize: extent(kCache, 1),
    topk: extent(indices, 2),
    hasTopkLength: topkLength !== undefined,
    kCache: placementOfCache(kCache, layout),
    indices: placementOf(indices, [0, 1]),
  };
}

export function sparsePrefillProblem(args: SparsePrefillArgs): SparsePrefillProblem {
  const { q, kv, indices } = args;
  return {
    seqLenQ: extent(q, 0),
    numHeadsQ: extent(q, 1),
    seqLenKv: extent(kv, 0),
    numHeadsKv: extent(kv, 1),
    headDimQk: extent(q, 2),
    headDimV: args.headDimV,
    topk: extent(indices, 2),
    smScale: args.smScale,
    hasTopkLength: args.topkLength !== undefined,
    hasAttnSink: args.attnSink !== undefined,
    q: placementOf(q, [0, 1]),
    kv: placementOf(kv, [0, 1]),
    indices: placementOf(indices, [0, 1]),
  };
}

export function denseAttentionProblem(args: DenseAttentionArgs): DenseAttentionProblem {
  const { q, k, v, cuSeqlensQ, cuSeqlensK, seqlensK, blockTable } = args;
  const inCache = seqlensK !== undefined;
  const lengths = cuSeqlensQ ?? cuSeqlensK;
  const outer = inCache ? [0, 1, 2] : [0, 1];
  return {
    dtype: q.dtype as DenseAttentionProblem['dtype'],
    batch: lengths ? extent(lengths, 0) - 1 : extent(seqlensK, 0),
    totalQ: extent(q, 0),
    totalK: inCache ? 0 : extent(k, 0),
    numHeadsQ: extent(q, 1),
    numHeadsKv: extent(k, outer.length - 1),
    headDimQk: extent(q, 2),
    headDimV: extent(v, outer.length),
    causal: args.causal,
    softmaxScale: args.softmaxScale,
    maxSeqLenQ: args.maxSeqLenQ,
    maxSeqLenK: args.maxSeqLenK,
    hasCuSeqlensQ: cuSeqlensQ !== undefined,
    keys: blockTable ? 'paged' : inCache ? 'blocks' : 'packed',
    numBlocks: inCache ? extent(k, 0) : 0,
    pageSize: inCache ? extent(k, 1) : 0,
    maxBlocks: extent(blockTable, 1),
    blockTableStride: extent(blockTable, 0) > 1 ? (blockTable?.strides[0] ?? 0) : 0,
    q: placementOf(q, [0, 1]),
    k: placementOf(k, outer),
    v: placementOf(v, outer),
  };
}
