import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import type { Placement } from '../../../../runtime/cuda/placement.ts';
import { remembered } from '../../../kernel-lib/cuda/remembered.ts';
import { asAlignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import type { DenseAttentionArgs } from '../../contract.ts';
import { denseAttention } from '../../operations.ts';
import { denseAttentionProblem } from '../problem-of.ts';
import type { DenseAttentionProblem } from '../problems.ts';
import { chooseMhaTile } from './mha/choose-tile.ts';
import type { MhaTile } from './mha/tile.ts';
import { mhaShape } from './mha/tile.ts';
import {
  buildDenseAttention,
  type DenseAttentionConfig,
  type DenseAttentionParams,
} from './sm80_dense_attention.ts';

export const denseAttentionSpec: KernelSpec<DenseAttentionConfig, DenseAttentionParams> = {
  name: 'sm80_dense_attention',
  build: buildDenseAttention,
};

interface DenseAttentionPlan extends OperationPlan {
  readonly launches: {
    readonly main: LaunchPlan<DenseAttentionConfig, DenseAttentionParams>;
  };
}

/** Lengths stay so far below 2^31 that rounding them up to tiles does not overflow. */
const longest = 2 ** 31 - 1024;

const tileOf = remembered(
  (problem: DenseAttentionProblem, { sm, smCount, maxSharedPerBlock }: DeviceLimits) =>
    [
      pageSizeOf(problem),
      ...[problem.dtype, problem.headDimQk, problem.headDimV, rowsPerRequest(problem)],
      ...[problem.batch * problem.numHeadsKv, sm, smCount, maxSharedPerBlock],
    ].join(),
  (problem, limits): MhaTile => {
    const { dtype: element, headDimQk, headDimV, batch, numHeadsKv } = problem;
    const rows = rowsPerRequest(problem);
    const shape = { element, headDimQk, headDimV, rows, pageSize: pageSizeOf(problem) };
    return chooseMhaTile({ ...shape, parallel: batch * numHeadsKv }, limits);
  },
);

/** Tiles of rows of one request, and CTAs. */
function sizesOf(problem: DenseAttentionProblem, tile: MhaTile) {
  const rowTiles = Math.ceil(rowsPerRequest(problem) / mhaShape(tile).rows);
  return { rowTiles, grid: [rowTiles * problem.batch, problem.numHeadsKv, 1] as const };
}

/** Dense MHA and GQA on tensor cores, from sm_80 up. */
export const portableDenseAttention = {
  operation: denseAttention,
  problemOf: denseAttentionProblem,

  keyOf(problem, limits) {
    const { keys, q, k, v, hasCuSeqlensQ } = problem;
    return {
      ...tileOf(problem, limits),
      hasCuSeqlensQ,
      keys,
      pageSize: pageSizeOf(problem),
      queryAlignment: q.alignment,
      keyAlignment: k.alignment,
      valueAlignment: v.alignment,
    };
  },

  plan(problem, limits) {
    const { keys } = problem;
    const tile = tileOf(problem, limits);
    const config: DenseAttentionConfig = {
      tile,
      hasCuSeqlensQ: problem.hasCuSeqlensQ,
      keys,
      pageSize: pageSizeOf(problem) ?? 0,
      queryAlignment: asAlignment(problem.q.alignment),
      keyAlignment: asAlignment(problem.k.alignment),
      valueAlignment: asAlignment(problem.v.alignment),
    };
    const { grid } = sizesOf(problem, tile);
    return {
      launches: { main: { kernel: denseAttentionSpec, config, grid } },
      workspaceBytes: 0,
    };
  },

  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    const { tile } = launches.main.config;
    return (args, problem, call) => {
      const { rowTiles, grid } = sizesOf(problem, tile);
      const { numHeadsQ, numHeadsKv } = problem;
      set.q(context.address(args.q));
      set.k(context.address(args.k));
      set.v(context.address(args.v));
      set.qStrides(problem.q.strides);
      set.kStrides(withBlocks(problem.k));
      set.vStrides(withBlocks(problem.v));
      set.cuSeqlensQ(context.address(args.cuSeqlensQ));
      set.lengthQ(problem.maxSeqLenQ);
      set.lengthsK(context.address(args.seqlensK ?? args.cuSeqlensK));
      set.capacity(Math.min(longest, capacityOf(problem)));
      set.numBlocks(problem.numBlocks);
      set.blockTable(context.address(args.blockTable));
      set.blockTableStride(problem.blockTableStride);
      set.out(context.address(args.out));
      set.lse(context.address(args.lse));
      set.totalQ(problem.totalQ);
      set.numHeadsQ(numHeadsQ);
      set.groupSize(numHeadsQ / numHeadsKv);
      set.rowTiles(rowTiles);
      set.causal(problem.causal ? 1 : 0);
      set.scale(problem.softmaxScale * Math.LOG2E);
      main.enqueue(call, grid);
    };
  },
} satisfies CudaKernel<DenseAttentionArgs, DenseAttentionProblem, DenseAttentionPlan>;

/** Tokens of a page; undefined where keys have none. */
function pageSizeOf({ keys, pageSize }: DenseAttentionProblem): number | undefined {
  return keys === 'paged' ? pageSize : undefined;
}

/** The most keys that a request can have. */
function capacityOf({ keys, totalK, maxBlocks, pageSize }: DenseAttentionProblem): number {
  if (keys === 'packed') return totalK;
  return (keys === 'paged' ? maxBlocks : 1) * pageSize;
}

/** The most rows (queries × heads that share a KV head) of a request. */
function rowsPerRequest({ maxSeqLenQ, numHeadsQ, numHeadsKv }: DenseAttentionProblem): number {
  return (maxSeqLenQ * numHeadsQ) / numHeadsKv;
}

/** Strides of (block, token, head); packed rows have no blocks. */
const withBlocks = ({ strides }: Placement): number[] =>
  strides.length === 2 ? [0, ...strides] : [...strides];
