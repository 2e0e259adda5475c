import type { DenseAttentionArgs } from '../../backend.ts';
import type { FamilyOperation, KernelSpec, LaunchPlan, OperationPlan } from '../kernel-family.ts';
import type { DenseAttentionProblem, Placement } from '../problems.ts';
import { chooseMhaTile } from './mha/choose-tile.ts';
import { mhaShape } from './mha/tile.ts';
import { asAlignment } from './mla/copy.ts';
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

/** Dense MHA and GQA on tensor cores, from sm_80 up. */
export const denseAttention: FamilyOperation<DenseAttentionProblem, DenseAttentionArgs> = {
  plan(problem, limits): DenseAttentionPlan {
    const { headDimQk, headDimV, numHeadsKv, batch, keys } = problem;
    const rows = rowsPerRequest(problem);
    const pageSize = keys === 'paged' ? problem.pageSize : undefined;
    const shape = { element: problem.dtype, headDimQk, headDimV, rows, pageSize };
    const tile = chooseMhaTile({ ...shape, parallel: batch * numHeadsKv }, limits);
    const config: DenseAttentionConfig = {
      tile,
      hasCuSeqlensQ: problem.hasCuSeqlensQ,
      keys,
      pageSize: pageSize ?? 0,
      queryAlignment: asAlignment(problem.q.alignment),
      keyAlignment: asAlignment(problem.k.alignment),
      valueAlignment: asAlignment(problem.v.alignment),
    };
    const grid = [Math.ceil(rows / mhaShape(tile).rows) * batch, numHeadsKv, 1] as const;
    return {
      launches: { main: { kernel: denseAttentionSpec, config, grid } },
      workspaceBytes: 0,
    };
  },

  bind(context, anyPlan, problem) {
    const { main: launch } = (anyPlan as DenseAttentionPlan).launches;
    const { rows } = mhaShape(launch.config.tile);
    const main = context.prepare(launch, {
      q: 0,
      k: 0,
      v: 0,
      cuSeqlensQ: 0,
      lengthQ: problem.maxSeqlenQ,
      lengthsK: 0,
      capacity: Math.min(longest, capacityOf(problem)),
      blockTable: 0,
      blockTableStride: problem.blockTableStride,
      numBlocks: problem.numBlocks,
      out: 0,
      lse: 0,
      totalQ: problem.totalQ,
      numHeadsQ: problem.numHeadsQ,
      groupSize: problem.numHeadsQ / problem.numHeadsKv,
      rowTiles: Math.ceil(rowsPerRequest(problem) / rows),
      qStrides: problem.q.strides,
      kStrides: withBlocks(problem.k),
      vStrides: withBlocks(problem.v),
      causal: problem.causal ? 1 : 0,
      scale: problem.softmaxScale * Math.LOG2E,
    });
    const q = main.setter('q');
    const k = main.setter('k');
    const v = main.setter('v');
    const cuSeqlensQ = main.setter('cuSeqlensQ');
    const lengthsK = main.setter('lengthsK');
    const blockTable = main.setter('blockTable');
    const out = main.setter('out');
    const lse = main.setter('lse');
    return (args) => {
      q(context.address(args.q));
      k(context.address(args.k));
      v(context.address(args.v));
      cuSeqlensQ(context.address(args.cuSeqlensQ));
      lengthsK(context.address(args.seqlensK ?? args.cuSeqlensK));
      blockTable(context.address(args.blockTable));
      out(context.address(args.out));
      lse(context.address(args.lse));
      main.enqueue();
    };
  },
};

/** The most keys that a request can have. */
function capacityOf({ keys, totalK, maxBlocks, pageSize }: DenseAttentionProblem): number {
  if (keys === 'packed') return totalK;
  return (keys === 'paged' ? maxBlocks : 1) * pageSize;
}

/** The most rows (queries × heads that share a KV head) of a request. */
function rowsPerRequest({ maxSeqlenQ, numHeadsQ, numHeadsKv }: DenseAttentionProblem): number {
  return (maxSeqlenQ * numHeadsQ) / numHeadsKv;
}

/** Strides of (block, token, head); packed rows have no blocks. */
const withBlocks = ({ strides }: Placement): number[] =>
  strides.length === 2 ? [0, ...strides] : [...strides];
